//! The commands of the elections of a node.

use super::lock::Lock;
use super::loss::Loss;
use super::stream_name::StreamName;
use super::take::Take;
use super::watching::Watching;
use sluice_types::clock::BootTime;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Open a session for the locks.
    CreateSession,
    /// Renew the session.
    Renew { session: String },
    /// End the session; try until the coordinator has confirmed it.
    Destroy { session: String },
    /// Read these locks once one changes beyond this index.
    Watch { watching: Watching, index: u64 },
    /// Read the locks of these tenures, consistently.
    Prove {
        sent: BootTime,
        tenures: Vec<(StreamName, u64)>,
    },
    /// Ask the other nodes whether they see this lock held.
    AskOthers {
        stream: StreamName,
        session: String,
        acquisition: u64,
    },
    /// The coordinator's epoch was behind what this node knows.
    EpochWasBehind { consul: u64, known: u64 },
    /// This node takes no part in the election of this stream any more.
    Left(StreamName),
    /// Something to do for one stream.
    Stream(StreamName, StreamCommand),
    /// The locks are released and the session has ended.
    Finished,
}

/// What to do for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamCommand {
    /// Read the lock, the epoch and the successor, consistently.
    Look,
    /// Take the lock. The epoch must be on disk before the election gets the
    /// answer.
    Take { sent: BootTime, take: Take },
    /// Release the lock if it is still of this acquisition.
    Release(Release),
    /// This node leads; effects are allowed in this span of the clock.
    Lead {
        epoch: u64,
        from: BootTime,
        until: BootTime,
    },
    /// The lease is valid until then.
    Extend { until: BootTime },
    /// The lease is over, at once and for good.
    Lose { loss: Loss },
    /// What is known of the lock has changed.
    Show(Lock),
}

/// The release of one acquisition of a lock. Repeating it, or carrying it out
/// late, frees no other acquisition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// The session that holds the lock.
    pub(super) session: String,
    /// The index at which the lock was taken.
    pub(super) acquisition: u64,
    /// The flags to write.
    pub(super) flags: u64,
    /// The node to name as the next one, if any.
    pub(super) successor: Option<String>,
}
