//! The questions of a node's driver, and the answers.

use super::clock::{SECOND, Time};
use crate::assistance::Assistance;
use crate::command::Release;
use crate::lock::{Lock, Looked};
use crate::take::{Take, Taken};

/// The client's timeouts; that of a proof is the lease.
const WATCH_TIMEOUT: Time = 4 * SECOND;
const RENEWAL_TIMEOUT: Time = 6 * SECOND;
const TIMEOUT: Time = 2 * SECOND;

/// One call through the seam.
#[derive(Clone, Debug)]
pub(super) enum Question {
    OpenSession,
    KeepAlive(String),
    EndSession(String),
    Watch(u64),
    Look,
    Take(Take),
    Prove,
    Release(Release),
    ReadEpoch,
    /// To another node, which asks the coordinator.
    Assist(Assistance),
}

impl Question {
    /// How long the node waits for the answer.
    pub(super) const fn timeout(&self, lease: Time) -> Time {
        match self {
            Self::Watch(_) => WATCH_TIMEOUT,
            Self::Prove => lease,
            Self::OpenSession => 3 * TIMEOUT,
            Self::KeepAlive(_) => RENEWAL_TIMEOUT,
            _ => TIMEOUT,
        }
    }
}

/// The answer to a question; none if it did not come in time.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Session(String),
    IsAlive(bool),
    Lock(Lock),
    Looked(Looked),
    Taken(Taken),
    Epoch(u64),
    Assisted(bool),
    Done,
}

/// A question on its way to the coordinator.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) node: usize,
    pub(super) call: u64,
    pub(super) question: Question,
    /// Until when the node waits for the answer; `None`: it does not.
    pub(super) deadline: Option<Time>,
}
