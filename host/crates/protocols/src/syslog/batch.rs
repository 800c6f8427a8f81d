//! Whole messages at the front of what a connection delivered.

use super::framer::{Framer, FramingError, Message, Next};

/// How many messages there are, and in how many bytes. Its size does not depend
/// on them: they are found again when they are decoded.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// As it was at the first of the bytes.
    pub(super) framer: Framer,
    /// How many of the unread bytes the batch takes. There can be bytes without
    /// a message, which are only to be dropped.
    pub bytes: usize,
    /// How many messages they contain.
    pub messages: usize,
    /// Why there are no more. The connection must be closed.
    pub error: Option<FramingError>,
    /// Whether the connection ended behind these bytes.
    pub(super) is_end: bool,
}

impl Framer {
    /// The whole messages among the unread bytes, `most` at most.
    pub fn batch(&mut self, unread: &[u8], most: usize) -> Batch {
        let mut batch = Batch::new(*self);
        while batch.messages < most {
            match self.next(unread.get(batch.bytes..).unwrap_or_default()) {
                Ok(Next::Message(message)) => {
                    batch.bytes += message.consumed;
                    batch.messages += 1;
                }
                Ok(Next::More { consumed }) => {
                    batch.bytes += consumed;
                    break;
                }
                Err(error) => {
                    batch.error = Some(error);
                    break;
                }
            }
        }
        batch
    }

    /// What the end of the connection ends, as a batch of one message or none.
    /// `unread` is what [`Self::batch`] left when it found no more messages.
    #[must_use]
    pub fn last_batch(&self, unread: &[u8]) -> Batch {
        Batch {
            bytes: unread.len(),
            messages: usize::from(self.end(unread).is_some()),
            is_end: true,
            ..Batch::new(*self)
        }
    }
}

impl Batch {
    pub(super) const fn new(framer: Framer) -> Self {
        Self {
            framer,
            bytes: 0,
            messages: 0,
            error: None,
            is_end: false,
        }
    }

    /// The messages. `body` is exactly the bytes of the batch. The ranges are in
    /// it.
    pub fn messages(self, body: &[u8]) -> impl Iterator<Item = Message> {
        let Self {
            mut framer, is_end, ..
        } = self;
        let mut at = 0;
        let next = move || {
            let unread = body.get(at..)?;
            let found = match framer.next(unread) {
                Ok(Next::Message(message)) => message,
                Ok(Next::More { consumed }) if is_end => {
                    at += consumed;
                    framer.end(body.get(at..)?)?
                }
                _ => return None,
            };
            let from = at;
            at += found.consumed;
            Some(Message {
                range: from + found.range.start..from + found.range.end,
                ..found
            })
        };
        std::iter::from_fn(next).take(self.messages)
    }
}
