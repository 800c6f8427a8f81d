//! Reads a replicated journal in order, for the sink.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, sleep};

use super::entries::first_entry;
use super::envelope::{Envelope, Kind, Part, Term};
use super::log::{LogError, Stored};
use super::payload;
use super::shared::Shared;
use crate::journal::Chunk;

/// The time until messages are asked for again that a server does not have yet.
const BEHIND_INTERVAL: Duration = Duration::from_millis(50);
/// How long a message is looked for that is missing or damaged, before it is
/// left out: another server may have it.
const DAMAGE_LIMIT: Duration = Duration::from_secs(30);

/// A position in the log from which records are read.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// The message that is read next; `None` until the log is open.
    next: Option<u64>,
    /// The parts so far of a record that is stored in parts.
    partial: Option<Partial>,
    /// Since when the next message cannot be read.
    damaged_since: Option<Instant>,
}

#[derive(Debug)]
struct Partial {
    /// The message with the first part.
    first: u64,
    term: Term,
    last: Part,
    bytes: BytesMut,
}

impl Reader {
    pub(super) const fn new(shared: Arc<Shared>, from: Option<u64>) -> Self {
        Self {
            shared,
            next: from,
            partial: None,
            damaged_since: None,
        }
    }

    fn next(&self) -> u64 {
        // Until the log is open, there is nothing.
        self.next
            .unwrap_or_else(|| self.shared.lock().settled.before)
    }

    /// Waits until there is more to read.
    pub(crate) async fn more(&self) {
        let mut stored = self.shared.stored.subscribe();
        let is_there = |stored: &u64| *stored > 0 && *stored > self.next();
        // The sender lives as long as this.
        drop(stored.wait_for(is_there).await);
    }

    /// The message before which everything was read.
    pub(crate) fn position(&self) -> u64 {
        let next = self.next();
        self.partial.as_ref().map_or(next, |partial| partial.first)
    }

    /// The next records, of at least one message if one is there, and of about so
    /// many bytes. The call can be repeated after an error.
    pub(crate) async fn read(&mut self, bytes: usize) -> Result<Chunk, LogError> {
        let mut chunk = Chunk::default();
        let mut next = self.next();
        let end = *self.shared.stored.borrow();
        let mut size = 0;
        while next < end && size < bytes {
            let kept = self.shared.lock().kept.take(next);
            let messages = match kept {
                Some(kept) => vec![kept],
                None => match self.read_stored(next, bytes - size).await {
                    Ok(messages) => messages,
                    // What was read so far is not read again.
                    Err(_) if !chunk.is_empty() => break,
                    Err(error) => return Err(error),
                },
            };
            if messages.is_empty() {
                // Some may have been left out.
                next = self.next();
                sleep(BEHIND_INTERVAL).await;
                break;
            }
            for message in messages {
                if message.sequence != next || message.sequence >= end {
                    break;
                }
                size += message.payload.len();
                let is_read = self.add(message, &mut chunk);
                if is_read {
                    self.damaged_since = None;
                } else if chunk.is_empty() && self.is_given_up() {
                    tracing::error!(
                        message = next,
                        "records of the journal are damaged and left out"
                    );
                } else {
                    self.next = Some(next);
                    chunk.end = first_entry(self.position());
                    return match chunk.is_empty() {
                        true => Err(LogError(format!("message {next} of the log is damaged"))),
                        false => Ok(chunk),
                    };
                }
                next += 1;
                self.next = Some(next);
            }
        }
        self.next = Some(next);
        chunk.end = first_entry(self.position());
        Ok(chunk)
    }

    /// Reads from the servers.
    async fn read_stored(&mut self, next: u64, bytes: usize) -> Result<Vec<Stored>, LogError> {
        let log = Arc::clone(&self.shared.log);
        let mut messages = match self.damaged_since {
            None => log.read(next, bytes).await?,
            // Another server than before may answer.
            Some(_) => log.get(next).await?.into_iter().collect(),
        };
        let Some(first) = messages.first().map(|first| first.sequence) else {
            if self.damaged_since.is_none() {
                return Ok(messages);
            }
            if self.is_given_up() {
                return self.skip(next).await;
            }
            return Err(LogError(format!("message {next} of the log is missing")));
        };
        if first != next {
            messages.clear();
            if !self.is_given_up() {
                return Err(LogError(format!("message {next} of the log is missing")));
            }
            return self.skip(next).await;
        }
        Ok(messages)
    }

    /// Leaves out what is missing.
    async fn skip(&mut self, next: u64) -> Result<Vec<Stored>, LogError> {
        let first = self.shared.log.state().await?.first.max(next + 1);
        tracing::error!(
            from = next,
            to = first,
            "messages of the journal are missing and left out"
        );
        self.shared.metrics.journal_missing.inc_by(first - next);
        self.partial = None;
        self.damaged_since = None;
        self.next = Some(first);
        Ok(Vec::new())
    }

    /// Whether the next message was looked for long enough.
    fn is_given_up(&mut self) -> bool {
        let since = *self.damaged_since.get_or_insert_with(Instant::now);
        since.elapsed() >= DAMAGE_LIMIT
    }

    /// Adds the message's records to the chunk; false if they cannot be read.
    fn add(&mut self, message: Stored, chunk: &mut Chunk) -> bool {
        let Some(envelope) = message.envelope else {
            return false;
        };
        let sequence = message.sequence;
        let Some(frames) = message.frames() else {
            return false;
        };
        if envelope.kind == Kind::Checkpoint {
            self.mark(sequence, envelope);
            return true;
        }
        let payload = match envelope.part {
            _ if envelope.kind == Kind::Barrier => {
                self.partial = None;
                self.mark(sequence, envelope);
                return true;
            }
            None => {
                self.partial = None;
                frames
            }
            Some(part) => {
                if !self.add_part((sequence, &frames), envelope.term, part) {
                    return true;
                }
                match self.partial.take() {
                    Some(partial) => partial.bytes.freeze(),
                    None => return true,
                }
            }
        };
        let Some(records) = payload::records(payload) else {
            return false;
        };
        self.mark(sequence, envelope);
        for (index, record) in (0..).zip(records) {
            chunk.entries.push(first_entry(sequence) + index);
            chunk.records.push(record);
        }
        true
    }

    /// Adds a part; true if it is the last one and all others were there.
    fn add_part(&mut self, (sequence, frames): (u64, &[u8]), term: Term, part: Part) -> bool {
        let before = self.partial.take().filter(|partial| {
            let Part { number, count } = partial.last;
            (partial.term, number + 1, count) == (term, part.number, part.count)
        });
        let mut partial = match before {
            Some(partial) => partial,
            None if part.number == 1 => Partial {
                first: sequence,
                term,
                last: part,
                bytes: BytesMut::new(),
            },
            None => return false,
        };
        partial.bytes.extend_from_slice(frames);
        partial.last = part;
        self.partial = Some(partial);
        part.number == part.count
    }

    /// Remembers how many records there are up to this message.
    fn mark(&self, sequence: u64, envelope: Envelope) {
        let mut state = self.shared.lock();
        let end = sequence + 1;
        if state.marks.back().is_none_or(|(last, _)| *last < end) {
            state.marks.push_back((end, envelope.records));
        }
    }
}
