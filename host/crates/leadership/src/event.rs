//! The events that the election handles.

use std::time::Duration;

use super::lock::{Lock, Looked};
use super::take::Taken;
use sluice_types::clock::BootTime;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A session was opened, or could not be.
    Session(Option<String>),
    /// The session was renewed (`Some(true)`), is not known (`Some(false)`), or
    /// there was no answer. None of it is as certain as a consistent read.
    Renewed {
        session: String,
        exists: Option<bool>,
    },
    /// A watch of the lock ended; `None` without an answer.
    Watched(Option<Lock>),
    /// A look ended; `None` without an answer.
    Looked(Option<Looked>),
    /// An attempt to take the lock ended. `sent` is the command's.
    Took { sent: BootTime, taken: Taken },
    /// A proof ended. `epoch` and `sent` are the command's; `None` without an
    /// answer.
    Proved {
        epoch: u64,
        sent: BootTime,
        lock: Option<Lock>,
    },
    /// The lock was released, or there was no answer.
    Released { session: String },
    /// The coordinator has confirmed that the session has ended.
    Destroyed { session: String },
    /// Another epoch became known.
    EpochSeen(u64),
    /// Whether this node can lead.
    Eligible(bool),
    /// Whether this node leaves the lock to another that is better prepared.
    Yielding(bool),
    /// Release the lock if it was taken under this epoch, and stay out of the
    /// election for this long, or only until another node has taken the lock.
    /// If a node is named, it may take the lock first.
    StepDown {
        epoch: u64,
        stay_out: Duration,
        until_taken: bool,
        to: Option<String>,
    },
    /// Release the lock, end the session, and finish.
    Shutdown,
    /// Nothing happened; something may be due.
    Tick,
}
