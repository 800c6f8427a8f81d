//! The words between the election and whoever carries out its commands: what
//! happened, and what to do.

use std::time::Duration;

use super::lock::{Epoch, Lock};
use super::loss::Loss;
use sluice_types::clock::BootTime;

/// No lease is longer; flags that say so were not written by a node.
pub(super) const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// How an attempt to take the lock ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is ours, as of this index.
    Won { modify_index: u64 },
    /// Something else came first.
    Lost,
    /// Our session does not exist.
    InvalidSession,
    /// The ACL does not allow it.
    Denied,
    /// No answer: it may be ours.
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A session was made, or could not be.
    Session(Option<String>),
    /// The session was renewed (`Some(true)`), is not known (`Some(false)`), or
    /// there was no answer. None of it is as certain as a consistent read.
    Renewed {
        session: String,
        exists: Option<bool>,
    },
    /// A blocking read of the lock ended; `None` without an answer.
    Watched(Option<Lock>),
    /// A look ended; `None` without an answer.
    Looked(Option<Looked>),
    /// The transaction that takes the lock ended. `sent` is the command's.
    Took { sent: BootTime, taken: Taken },
    /// A proof ended. `sent` is the command's; `None` without an answer.
    Proved {
        epoch: u64,
        sent: BootTime,
        lock: Option<Lock>,
    },
    /// The lock was given back, or there was no answer.
    Released { session: String },
    /// Consul has heard that the session is to end.
    Destroyed { session: String },
    /// Another epoch became known.
    EpochSeen(u64),
    /// This node can or can not lead.
    Eligible(bool),
    /// Another node is better prepared to lead, or none is.
    Outdone(bool),
    /// Let go of the lock, if it was taken under this epoch, and leave it to
    /// others for so long, or only until one has taken it; to this one first,
    /// if one is named.
    StepDown {
        epoch: u64,
        stay_out: Duration,
        until_taken: bool,
        to: Option<String>,
    },
    /// Let go of everything.
    Shutdown,
    /// Nothing; it may be time for something.
    Tick,
}

/// What consistent reads showed to who wants to take the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) lock: Lock,
    pub(super) epoch: Epoch,
    pub(super) wish: Option<Wish>,
}

/// Whom the last leader wished for, as its key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) node: String,
    pub(super) modify_index: u64,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    CreateSession,
    Renew {
        session: String,
    },
    /// End the session; until Consul has heard it.
    Destroy {
        session: String,
    },
    /// Read the lock once it changes beyond this index.
    Watch {
        index: u64,
    },
    /// Read the lock, the epoch and the wish, consistently.
    Look,
    /// Take the lock if nothing changed since `expected` (`None`: absent),
    /// writing the epoch and deleting the wish (as of this index) in the same
    /// transaction. The epoch must be on disk before the answer is told.
    Take {
        sent: BootTime,
        session: String,
        expected: Option<u64>,
        epoch: u64,
        epoch_index: u64,
        wish_index: Option<u64>,
        flags: u64,
    },
    /// Read the lock, consistently.
    Prove {
        epoch: u64,
        sent: BootTime,
    },
    /// Write the wish, if there is one, and give the lock back with these
    /// flags.
    Release {
        session: String,
        flags: u64,
        wish: Option<String>,
    },
    /// This node leads; effects are allowed in this span of the clock.
    Lead {
        epoch: u64,
        from: BootTime,
        until: BootTime,
    },
    /// The lease holds until then.
    Extend {
        until: BootTime,
    },
    /// The lease is over, at once and for good.
    Lose {
        loss: Loss,
    },
    /// What is known of the lock has changed.
    Show(Lock),
    /// Consul's epoch was behind what this node knows.
    EpochWasBehind {
        consul: u64,
        known: u64,
    },
    /// Everything was let go of.
    Finished,
}

/// What does not change.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// This node's name.
    pub(super) node: String,
    /// How long a proof is good for.
    pub(super) lease: Duration,
    /// Added to this node's waits, so that nodes do not try in step.
    pub(super) jitter: Duration,
    /// By how much this node goes on with an epoch that Consul has forgotten.
    /// Others may have seen some that this one has not, and may have gone on
    /// themselves: so it is much, and another with each node.
    pub(super) leap: u64,
}
