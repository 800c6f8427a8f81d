//! The log that a replicated journal writes to, as the journal needs it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use thiserror::Error;

use super::envelope::Envelope;

/// What a [`Log`] does, under way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A message that is to be stored right after another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sequence of the message before it; 0 in an empty log.
    pub after: u64,
    /// What the journal says about it.
    pub envelope: Envelope,
    /// Frames of records, and after them the ids that the envelope counts.
    pub payload: Bytes,
}

/// A message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place: 1, 2, 3, …
    pub sequence: u64,
    /// `None` if it is not a message of this version of the journal.
    pub envelope: Option<Envelope>,
    /// When it was stored, in nanoseconds since 1970, by the server's clock; 0 if that
    /// is not known.
    pub time: u64,
    /// Frames of records, and after them the ids that the envelope counts.
    pub payload: Bytes,
}

/// The answer to a publish. Only the first one proves anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is stored under this sequence.
    Stored(u64),
    /// The server knows another last message. It may be wrong.
    Refused,
    /// The server has no room for it.
    Full(String),
    /// No server will ever store it.
    Impossible(String),
    /// It may be stored, now or later, or not.
    Unknown(String),
}

/// The log did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct LogError(pub String);

/// What a log holds, for people and for the count of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The first sequence that is still there, or the one after the last if none is.
    pub first: u64,
    /// The last sequence that was ever given.
    pub last: u64,
    /// The size of what is there.
    pub bytes: u64,
}

impl LogState {
    /// The last sequence that was ever given, if messages were there and all of them were
    /// removed.
    #[must_use]
    pub const fn emptied_after(&self) -> Option<u64> {
        match self.last > 0 && self.first > self.last {
            true => Some(self.last),
            false => None,
        }
    }
}

/// A log whose messages are numbered, and stored on the condition that the one
/// before is known. Every call is bounded in time. Reads may be stale: that a
/// message is there is certain, that it is not proves nothing.
pub trait Log: fmt::Debug + Send + Sync {
    /// Makes the log usable, and makes it if it does not exist.
    fn prepare(&self) -> Answer<'_, Result<(), LogError>>;

    /// Stores the message, if `after` is the last one.
    fn publish(&self, message: Message) -> Answer<'_, Published>;

    /// The message with this sequence.
    fn get(&self, sequence: u64) -> Answer<'_, Result<Option<Stored>, LogError>>;

    /// The last message.
    fn last(&self) -> Answer<'_, Result<Option<Stored>, LogError>>;

    /// Messages from this sequence on, in order, of about so many bytes. None if
    /// they are not there yet.
    fn read(&self, from: u64, bytes: usize) -> Answer<'_, Result<Vec<Stored>, LogError>>;

    /// Removes the messages before this one.
    fn purge(&self, below: u64) -> Answer<'_, Result<(), LogError>>;

    /// What the log holds.
    fn state(&self) -> Answer<'_, Result<LogState, LogError>>;

    /// Whether the log does not exist any more, for certain.
    fn is_gone(&self) -> Answer<'_, bool>;

    /// The largest payload that a message may have.
    fn payload_limit(&self) -> usize;
}
