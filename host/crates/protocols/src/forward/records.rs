//! The records of a message.

use crate::decoded::Decoded;

/// The records of a message. Of a message with a chunk, the key of each is the
/// chunk's id and the index of its entry.
#[derive(Debug, Default)]
pub struct Records {
    /// Those that were decoded, and those that could not be.
    pub decoded: Decoded,
    /// Whether any of them is a piece of a long line, for
    /// [`Joiner`](super::joiner::Joiner).
    pub has_pieces: bool,
}

impl Records {
    /// Adds those of the message that follows.
    pub fn append(&mut self, mut next: Self) {
        let Decoded { records, rejected } = &mut self.decoded;
        rejected.append(next.decoded.rejected, records.len() + rejected.len());
        records.append(&mut next.decoded.records);
        self.has_pieces |= next.has_pieces;
    }
}
