//! What the protocols have in common on a connection.

use std::fmt;

use super::batch::{Batch, Contents};
use sluice_protocols::decoded::Decoded;
use sluice_protocols::memory_budget::Reservation;

/// About how many bytes a batch has at most, unless one message has more.
pub(super) const BATCH_BYTES: usize = 256 << 10;

/// The state of one connection.
pub(super) trait Session: fmt::Debug + Send {
    /// The whole messages at the front of the unread bytes; `None` if more must be
    /// read first. `is_end` says that no more will come. A batch that is returned
    /// is consumed.
    ///
    /// # Errors
    /// The bytes are not of this protocol.
    fn next(&mut self, unread: &[u8], is_end: bool) -> Result<Option<Batch>, String>;

    /// What can be delivered now of a batch that was decoded, with what is charged
    /// for records of earlier ones.
    fn pass(&mut self, contents: &mut Contents) -> (Decoded, Option<Reservation>) {
        (std::mem::take(&mut contents.records.decoded), None)
    }

    /// Whether the session keeps records of earlier batches.
    fn keeps_records(&self) -> bool {
        false
    }

    /// The records that it keeps and that have been waiting for too long, or, if
    /// the connection has ended, all that it keeps.
    fn release(&mut self, _is_end: bool) -> (Decoded, Option<Reservation>) {
        (Decoded::default(), None)
    }

    /// What the client is told when the connection is closed for another reason
    /// than its own.
    fn farewell(&self) -> &'static [u8] {
        b""
    }
}

/// The limits on what one client sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    /// The most bytes of a message.
    pub(super) message: usize,
}
