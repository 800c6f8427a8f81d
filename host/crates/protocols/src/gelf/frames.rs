//! Cuts what comes over TCP into messages, each of which ends with a zero byte.

#[cfg(test)]
mod tests;

use bytes::{Buf as _, Bytes, BytesMut};

/// Where the reading of a connection stands.
#[derive(Clone, Debug)]
pub struct Frames {
    /// The most bytes of a message, without the zero byte.
    most: usize,
    /// How much of the buffer is known to have no zero byte.
    scanned: usize,
    /// Whether the start of the message was thrown away.
    is_skipping: bool,
}

/// What was read of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// Whole messages, each with its zero byte: for
    /// [`super::message::decode_frames`], with the same maximum.
    Messages(Bytes),
    /// The start of a message that is too long. It is thrown away, and so is the
    /// rest of it when it comes.
    TooLong,
}

impl Frames {
    /// For messages of up to `most` bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            scanned: 0,
            is_skipping: false,
        }
    }

    /// Takes what is complete from the start of the buffer. `None` if more must be
    /// read first; then at most `most` bytes are left in it.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Option<Framed> {
        if self.is_skipping {
            let end = memchr::memchr(0, buffer);
            self.is_skipping = end.is_none();
            buffer.advance(end.map_or(buffer.len(), |end| end + 1));
        }
        let new = buffer.get(self.scanned..).unwrap_or_default();
        if let Some(last) = memchr::memrchr(0, new) {
            let end = self.scanned + last + 1;
            self.scanned = 0;
            return Some(Framed::Messages(buffer.split_to(end).freeze()));
        }
        if buffer.len() > self.most {
            buffer.clear();
            self.scanned = 0;
            self.is_skipping = true;
            return Some(Framed::TooLong);
        }
        self.scanned = buffer.len();
        None
    }

    /// Takes what is left when the connection has ended: a message whose zero byte
    /// never came, and which may be cut off.
    pub fn last(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        let is_start_lost = std::mem::take(&mut self.is_skipping);
        self.scanned = 0;
        let rest = buffer.split().freeze();
        (!is_start_lost && !rest.is_empty()).then_some(rest)
    }
}
