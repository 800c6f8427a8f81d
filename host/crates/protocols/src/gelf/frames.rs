//! Messages over TCP: each ends with a zero byte.

#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::{memchr, memrchr};

/// Where the reading of a connection stands.
#[derive(Clone, Debug)]
pub struct Frames {
    /// The most bytes of a message.
    most: usize,
    /// How many of the unread bytes are known to have no zero byte.
    scanned: usize,
    /// Whether the start of the message was thrown away.
    is_skipping: bool,
}

/// What is at the front of the unread bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// How many of the unread bytes are not needed any more.
    pub bytes: usize,
    /// Where the messages are, each with its zero byte, if it has one: for
    /// [`super::message::decode_frames`] with the same maximum. It rejects the
    /// start of a message that is too long; the rest is thrown away.
    pub messages: Range<usize>,
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

    /// Finds what is complete at the front of the unread bytes. `None` if more must
    /// be read first; then these are at most `most`. `is_end` says that no more
    /// will come: then the last message need not have its zero byte.
    pub fn next(&mut self, unread: &[u8], is_end: bool) -> Option<Framed> {
        if unread.is_empty() {
            return None;
        }
        let mut start = 0;
        if self.is_skipping {
            start = memchr(0, unread).map_or(unread.len(), |end| end + 1);
            self.is_skipping = unread.get(start.wrapping_sub(1)) != Some(&0);
            if start == unread.len() {
                return Some(Framed {
                    bytes: start,
                    messages: start..start,
                });
            }
        }
        let from = self.scanned.max(start);
        let last = memrchr(0, unread.get(from..).unwrap_or_default());
        let is_too_long = last.is_none() && unread.len() - start > self.most;
        let end = match last {
            Some(last) => from + last + 1,
            None if is_too_long || is_end => unread.len(),
            // The rest of a message that was too long.
            None if start > 0 => {
                return Some(Framed {
                    bytes: start,
                    messages: start..start,
                });
            }
            None => {
                self.scanned = unread.len();
                return None;
            }
        };
        self.scanned = 0;
        self.is_skipping = is_too_long;
        Some(Framed {
            bytes: end,
            messages: start..end,
        })
    }
}
