//! Records that share one message of the log.

use bytes::Bytes;

use super::envelope::Part;
use super::id_log::RequestId;
use crate::journal::PendingAcknowledgement;

/// What is stored together.
#[derive(Debug)]
pub(super) struct Group {
    /// Frames, or a part of one, and after them the ids.
    pub(super) payload: Bytes,
    /// The records that are whole with it.
    pub(super) records: u64,
    pub(super) part: Option<Part>,
    /// The ids of the requests that are stored whole with it.
    pub(super) ids: Vec<RequestId>,
    /// Of these requests.
    pub(super) acknowledgements: Vec<PendingAcknowledgement>,
}

impl Group {
    /// For the envelope. A group has far fewer bytes.
    pub(super) fn id_count(&self) -> u32 {
        u32::try_from(self.ids.len()).unwrap_or(u32::MAX)
    }
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
