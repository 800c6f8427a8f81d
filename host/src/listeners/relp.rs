//! RELP. Every message is answered once it is settled, in the order of the
//! messages.

use std::sync::Arc;

use super::batch::{Batch, Contents};
use super::session::{BATCH_BYTES, Session, SessionLimits};
use sluice_protocols::relp::decode::messages;
use sluice_protocols::relp::framer::{DATA_BYTES_MAX, Framer};
use sluice_protocols::relp::response::{SERVER_CLOSE, Session as Ended, write_answers};
use sluice_types::clock::unix_nanos;

/// How many frames a batch has at most: clients send 128 without an answer (the
/// window of librelp), and wait then.
const FRAMES_MAX: usize = 128;

/// A RELP connection.
#[derive(Debug)]
pub(super) struct RelpSession {
    framer: Framer,
}

impl RelpSession {
    pub(super) fn new(limits: SessionLimits) -> Self {
        Self {
            framer: Framer::new(limits.message.min(DATA_BYTES_MAX)),
        }
    }
}

impl Session for RelpSession {
    fn next(&mut self, unread: &[u8], _is_end: bool) -> Result<Option<Batch>, String> {
        let front = unread.get(..BATCH_BYTES).unwrap_or(unread);
        let found = self.framer.batch(front, FRAMES_MAX);
        let fault = found.error.map(|error| error.to_string());
        if found.bytes == 0 && fault.is_none() {
            return Ok(None);
        }
        let observed = unix_nanos();
        Ok(Some(Batch {
            bytes: found.bytes,
            decode: Arc::new(move |body, meter| {
                let decoded = messages(found, body, observed, usize::MAX, meter);
                let mut contents = Contents::from(decoded);
                contents.asks_ack = true;
                contents.is_last = write_answers(found, body, &mut contents.answer) != Ended::Open;
                Ok(contents)
            }),
            fault,
        }))
    }

    fn farewell(&self) -> &'static [u8] {
        SERVER_CLOSE
    }
}
