//! Records that share one message of the log.

use bytes::Bytes;

use super::envelope::Part;
use crate::journal::PendingAcknowledgement;

/// What is stored together.
#[derive(Debug)]
pub(super) struct Group {
    /// Frames, or a part of one.
    pub(super) payload: Bytes,
    /// The records that are whole with it.
    pub(super) records: u64,
    pub(super) part: Option<Part>,
    /// Of the requests that are stored whole with it.
    pub(super) acknowledgements: Vec<PendingAcknowledgement>,
}

/// What became of a message for the next place.
#[derive(Debug)]
pub(super) enum Placed {
    /// The place has the message of this term with this number.
    Number(u64),
    /// There is no room for it now.
    NoRoom(String),
    /// No server will ever store it.
    Impossible(String),
}
