//! GELF over TCP: JSON that ends with a zero byte. It has no answers.

use std::sync::Arc;

use super::batch::{Batch, Contents};
use super::session::{Session, SessionLimits};
use sluice_protocols::gelf::frames::Frames;
use sluice_protocols::gelf::message::decode_frames;
use sluice_types::clock::unix_nanos;

/// A connection with GELF messages.
#[derive(Debug)]
pub(super) struct GelfSession {
    frames: Frames,
    /// The most bytes of a message.
    most: usize,
}

impl GelfSession {
    pub(super) const fn new(limits: SessionLimits) -> Self {
        Self {
            frames: Frames::new(limits.message),
            most: limits.message,
        }
    }
}

impl Session for GelfSession {
    fn next(&mut self, unread: &[u8], is_end: bool) -> Result<Option<Batch>, String> {
        let Some(framed) = self.frames.next(unread, is_end) else {
            return Ok(None);
        };
        let (messages, most, observed) = (framed.messages, self.most, unix_nanos());
        Ok(Some(Batch {
            bytes: framed.bytes,
            decode: Arc::new(move |body, meter| {
                let messages = body.slice(messages.clone());
                let decoded = decode_frames(&messages, most, observed, usize::MAX, meter);
                Ok(Contents::from(decoded))
            }),
            fault: None,
        }))
    }
}
