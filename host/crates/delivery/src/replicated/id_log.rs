//! Where the ids of requests outlive the messages that they came with, as the
//! journal needs it.

use std::fmt;
use std::time::Duration;

use super::log::{Answer, LogError};

/// What a request is known by, on every node.
pub type RequestId = [u8; 16];

/// Ids that were stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIds {
    /// The place of their message: 1, 2, 3, …
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970, by the server's clock.
    pub time: u64,
    /// How old the youngest of them was then.
    pub age: Duration,
    /// The ids.
    pub ids: Vec<RequestId>,
}

/// A log of ids, which forgets by itself what is old. Everybody may write to it at
/// any time: only ids of stored messages are written, so each of them is right. Every
/// call is bounded in time. That a message is there is certain, that it is not proves
/// nothing.
pub trait IdLog: fmt::Debug + Send + Sync {
    /// Makes it usable, and makes it if it does not exist. Returns the secret that ids
    /// are made with, which is the same for all nodes.
    fn prepare(&self) -> Answer<'_, Result<[u8; 16], LogError>>;

    /// Stores ids, of which the youngest is so old, and returns the sequence. After an
    /// error, they may be stored, now or later.
    fn publish(&self, ids: Vec<RequestId>, age: Duration) -> Answer<'_, Result<u64, LogError>>;

    /// Messages from this sequence on, in order. None if they are not there yet.
    fn read(&self, from: u64) -> Answer<'_, Result<Vec<StoredIds>, LogError>>;

    /// The first sequence that is still there.
    fn first(&self) -> Answer<'_, Result<u64, LogError>>;

    /// How many ids a message may have.
    fn ids_max(&self) -> usize;
}
