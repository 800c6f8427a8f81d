//! Fluent Forward over TCP. A message is answered if its client asks for that.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Contents, Named};
use super::session::{BATCH_BYTES, Session, SessionLimits};
use bytes::Bytes;
use sluice_protocols::decoded::Decoded;
use sluice_protocols::error::DecodeError;
use sluice_protocols::forward::framer::{Framer, Framing};
use sluice_protocols::forward::joiner::{self, Joiner};
use sluice_protocols::forward::message::{Content, Limits, decode};
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::meter::Meter;
use sluice_types::clock::unix_nanos;

/// How many pieces of long lines a connection keeps.
const JOINED: joiner::Limits = joiner::Limits {
    bytes: 1 << 20,
    lines: 64,
};
/// How long the next piece of a long line is waited for.
const PIECE_WAIT: Duration = Duration::from_secs(5);
/// Where the option of a message is looked for, from its end, in bytes.
const OPTION_BYTES: usize = 1 << 10;
/// The most messages of a batch.
const MESSAGES_MAX: usize = 1024;

/// A Forward connection.
#[derive(Debug)]
pub(super) struct ForwardSession {
    framer: Framer,
    joiner: Joiner,
    limits: Limits,
}

impl ForwardSession {
    pub(super) const fn new(limits: SessionLimits, kept: Reservation) -> Self {
        let SessionLimits { message } = limits;
        Self {
            framer: Framer::new(message),
            joiner: Joiner::new(JOINED, kept),
            limits: Limits {
                records: usize::MAX,
                unpacked: message,
            },
        }
    }
}

impl Session for ForwardSession {
    fn next(&mut self, unread: &[u8], _is_end: bool) -> Result<Option<Batch>, String> {
        let (mut bytes, mut lengths, mut fault) = (0, Vec::new(), None);
        while bytes < BATCH_BYTES && lengths.len() < MESSAGES_MAX {
            let rest = unread.get(bytes..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.framer.next(rest) {
                Ok(Framing::Whole(length)) => {
                    bytes += length;
                    lengths.push(length);
                    if may_be_packed(rest.get(..length).unwrap_or_default()) {
                        break;
                    }
                }
                Ok(Framing::Needs(_)) => break,
                Err(error) => {
                    fault = Some(error.to_string());
                    break;
                }
            }
        }
        if lengths.is_empty() {
            return fault.map_or(Ok(None), Err);
        }
        let (limits, observed) = (self.limits, unix_nanos());
        Ok(Some(Batch {
            bytes,
            decode: Arc::new(move |body, meter| messages(body, &lengths, observed, limits, meter)),
            fault,
        }))
    }

    fn pass(&mut self, contents: &mut Contents) -> (Decoded, Option<Reservation>) {
        let records = std::mem::take(&mut contents.records);
        let passed = self.joiner.pass(records, contents.asks_ack);
        (passed.decoded, passed.reservation)
    }

    fn keeps_records(&self) -> bool {
        !self.joiner.is_empty()
    }

    fn release(&mut self, is_end: bool) -> (Decoded, Option<Reservation>) {
        let wait = u64::try_from(PIECE_WAIT.as_nanos()).unwrap_or(u64::MAX);
        let passed = match is_end {
            true => self.joiner.release_all(),
            false => self.joiner.release_idle(unix_nanos().saturating_sub(wait)),
        };
        (passed.decoded, passed.reservation)
    }
}

/// Whether a message may become much larger than it is. It ends its batch: two of
/// them may need more memory than there can be.
fn may_be_packed(message: &[u8]) -> bool {
    let end = message.len().saturating_sub(OPTION_BYTES);
    let option = message.get(end..).unwrap_or_default();
    memchr::memmem::find(option, b"compressed").is_some()
}

/// The records of all messages, and the acknowledgements that are asked for.
fn messages(
    body: &Bytes,
    lengths: &[usize],
    observed: u64,
    limits: Limits,
    meter: &mut Meter,
) -> Result<Contents, DecodeError> {
    let mut all = Contents::default();
    let mut start = 0;
    for length in lengths {
        let bytes = start..start + length;
        start = bytes.end;
        match decode(&body.slice(bytes.clone()), observed, limits, meter) {
            Ok(message) => {
                let first = all.records.decoded.records.len();
                match message.content {
                    Content::Records(records) => all.records.append(records),
                    Content::Keepalive | Content::Dropped(_) => {}
                    Content::Ping => {
                        all.is_last = true;
                        return Ok(all);
                    }
                }
                if let Some(chunk) = message.chunk {
                    let ack = chunk.ack();
                    if meter.charge(ack.len() + size_of::<Named>()) {
                        all.asks_ack = true;
                        all.answer.extend(ack);
                        all.named.push(Named {
                            id: Bytes::copy_from_slice(chunk.id()),
                            bytes,
                            records: first..all.records.decoded.records.len(),
                        });
                    }
                }
            }
            Err(DecodeError::Stopped(stop)) => return Err(stop.into()),
            // Nobody can be told, and what follows is whole.
            Err(error) => {
                let (decoded, reason) = (&mut all.records.decoded, error.to_string());
                if meter.charge(decoded.rejected.cost(&reason)) {
                    let place = decoded.records.len() + decoded.rejected.len();
                    decoded.rejected.push(place, &reason);
                }
            }
        }
    }
    Ok(all)
}
