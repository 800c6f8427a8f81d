//! The events that the elections of a node handle.

use std::time::Duration;

use super::lock::{Lock, Looked};
use super::stream_name::StreamName;
use super::take::Taken;
use super::watching::{Seen, Watching};
use sluice_types::clock::BootTime;

/// What happened to the node, or to several of its streams.
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
    /// The coordinator has confirmed that the session has ended.
    Destroyed { session: String },
    /// A watch of locks ended; `None` without an answer.
    Watched(Watching, Option<Seen>),
    /// Proofs ended that were requested at `sent`.
    Proved { sent: BootTime, proofs: Vec<Proof> },
    /// Whether another node sees the lock of this acquisition held.
    SeenByOthers { acquisition: u64, is_seen: bool },
    /// The counter of epochs, which is one for all streams, by a consistent read;
    /// `None` without an answer. Other nodes knew the epoch `known` before it was read.
    EpochSeen { epoch: Option<u64>, known: u64 },
    /// Another node knows this epoch, under which any stream may be led.
    EpochKnown(u64),
    /// Do not take part in the election of this stream any more.
    Leave(StreamName),
    /// Something happened to one stream.
    Stream(StreamName, StreamEvent),
    /// Release the locks, end the session, and finish.
    Shutdown,
    /// Nothing happened; something may be due.
    Tick,
}

/// What a consistent read showed of the lock of a tenure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) stream: StreamName,
    /// The tenure that asked for it.
    pub(super) epoch: u64,
    /// `None` without an answer.
    pub(super) lock: Option<Lock>,
}

/// What happened to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamEvent {
    /// A look ended; `None` without an answer.
    Looked(Option<Looked>),
    /// An attempt to take the lock ended. `sent` is the command's.
    Took { sent: BootTime, taken: Taken },
    /// The lock of this acquisition was released, or was free already; if not
    /// answered, it may still be held.
    Released {
        session: String,
        acquisition: u64,
        is_answered: bool,
    },
    /// Whether this node can lead.
    Eligible(bool),
    /// Whether this node leaves the lock to another that is better prepared.
    Yielding(bool),
    /// Whether this node leaves a lock that becomes free to another for a moment.
    Hesitating(bool),
    /// Release the lock if it was taken under this epoch, and stay out of the
    /// election for this long, or only until another node has taken the lock.
    /// If a node is named, it may take the lock first.
    StepDown {
        epoch: u64,
        stay_out: Duration,
        until_taken: bool,
        to: Option<String>,
    },
}
