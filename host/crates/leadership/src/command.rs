//! The commands of the election.

use super::lock::Lock;
use super::loss::Loss;
use super::take::Take;
use sluice_types::clock::BootTime;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Open a session for the lock.
    CreateSession,
    /// Renew the session.
    Renew { session: String },
    /// End the session; try until the coordinator has confirmed it.
    Destroy { session: String },
    /// Read the lock once it changes beyond this index.
    Watch { index: u64 },
    /// Read the lock, the epoch and the successor, consistently.
    Look,
    /// Take the lock. The epoch must be on disk before the election gets the
    /// answer.
    Take { sent: BootTime, take: Take },
    /// Read the lock, consistently.
    Prove { epoch: u64, sent: BootTime },
    /// Write the successor, if one is named, and release the lock with these
    /// flags.
    Release {
        session: String,
        flags: u64,
        successor: Option<String>,
    },
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
    /// The coordinator's epoch was behind what this node knows.
    EpochWasBehind { consul: u64, known: u64 },
    /// The lock is released and the session has ended.
    Finished,
}
