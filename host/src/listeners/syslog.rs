//! Syslog over TCP and TLS. It has no answers.

use std::sync::Arc;

use super::batch::{Batch, Contents};
use super::session::{BATCH_BYTES, Session, SessionLimits};
use sluice_protocols::syslog::batch as messages;
use sluice_protocols::syslog::decode::stream;
use sluice_protocols::syslog::framer::{Framer, MESSAGE_BYTES_MAX};
use sluice_types::clock::unix_nanos;

/// The most messages of a batch. Short ones take much more memory as records: a batch
/// of them must leave room to those of other connections.
const MESSAGES_MAX: usize = 4 << 10;

/// A connection with syslog messages.
#[derive(Debug)]
pub(super) struct SyslogSession {
    framer: Framer,
}

impl SyslogSession {
    pub(super) fn new(limits: SessionLimits) -> Self {
        Self {
            framer: Framer::new(limits.message.min(MESSAGE_BYTES_MAX)),
        }
    }
}

impl Session for SyslogSession {
    fn next(&mut self, unread: &[u8], is_end: bool) -> Result<Option<Batch>, String> {
        let front = unread.get(..BATCH_BYTES).unwrap_or(unread);
        let mut found = self.framer.batch(front, MESSAGES_MAX);
        if found.bytes == 0 && found.error.is_none() && is_end {
            found = self.framer.last_batch(unread);
        }
        Ok(batch(found))
    }
}

fn batch(found: messages::Batch) -> Option<Batch> {
    let fault = found.error.map(|error| error.to_string());
    if found.bytes == 0 && fault.is_none() {
        return None;
    }
    let observed = unix_nanos();
    Some(Batch {
        bytes: found.bytes,
        decode: Arc::new(move |body, meter| {
            let decoded = stream(found, body, observed, usize::MAX, meter);
            Ok(Contents::from(decoded))
        }),
        fault,
    })
}
