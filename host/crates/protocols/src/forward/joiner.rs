//! Joins the pieces of long lines.
//!
//! Docker sends a line of more than 16 KiB in pieces, each a message of its own.
//!
//! # What may be acknowledged
//!
//! A message may be acknowledged when every record that [`Joiner::pass`] returned
//! for it is settled. Nothing else has to be remembered, because the joiner keeps
//! pieces only of messages that ask for no acknowledgement. Of a message that
//! asks for one, `pass` returns everything: records that were joined of its own
//! pieces, or of these and earlier ones, and pieces that it does not complete as
//! the records that they are.
//!
//! Waiting for the other pieces instead would never end. The client library of
//! Docker's driver (`fluent-logger-golang`, in `Fluent.write`) sends the next
//! piece only when the one before is acknowledged. So Docker with
//! `fluentd-request-ack` delivers pieces, and what reads them from the sink can
//! join them by the attributes `partial_id` and `partial_ordinal`.
//!
//! What the joiner keeps was promised to nobody. The caller gets it back by
//! [`Joiner::release_all`] when the connection ends, and by
//! [`Joiner::release_idle`] from time to time.

use sluice_types::record::{LogRecord, Text, Value};

use super::message::Records;
use super::piece::{self, Piece};
use crate::decoded::Decoded;
use crate::memory_budget::Reservation;
use crate::text;

/// How much one joiner keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of all pieces together, in the sense of
    /// [`LogRecord::size`], and those of the joined texts besides.
    pub bytes: usize,
    /// The most lines of which there are pieces.
    pub lines: usize,
}

/// Keeps the pieces of the lines of one connection until their last ones arrive.
/// What it keeps is charged to a reservation. What exceeds that or the limits is
/// returned as the pieces that it is.
#[derive(Debug)]
pub struct Joiner {
    limits: Limits,
    reservation: Reservation,
    /// The one that grew last is at the end.
    lines: Vec<Line>,
}

/// What can be delivered.
#[derive(Debug)]
pub struct Passed {
    /// The records, and what the decoder rejected. The places of rejections are
    /// those in the message, which may not match the records any more.
    pub decoded: Decoded,
    /// What the records take that were kept before. What the others take is
    /// charged to the message. It must be held until the records are settled.
    pub reservation: Option<Reservation>,
}

/// A line of which pieces are missing.
#[derive(Debug)]
struct Line {
    id: Text,
    /// From the first on, without gaps.
    pieces: Vec<LogRecord>,
    /// The ordinal of the next piece.
    next: u64,
    /// What is charged for it.
    bytes: usize,
    /// Whether the message that is being passed has a piece of it.
    is_touched: bool,
}

impl Line {
    /// When its latest piece was observed.
    fn observed(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.observed)
    }
}

impl Joiner {
    /// An empty joiner. What it keeps is charged to the reservation, which has
    /// nothing else.
    #[must_use]
    pub const fn new(limits: Limits, reservation: Reservation) -> Self {
        Self {
            limits,
            reservation,
            lines: Vec::new(),
        }
    }

    /// How many lines there are of which pieces are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes the records of a message, and returns what can be delivered now.
    /// Of a message that asks for an acknowledgement, nothing is kept.
    pub fn pass(&mut self, records: Records, asks_ack: bool) -> Passed {
        let Records {
            decoded,
            has_pieces,
        } = records;
        let Decoded { records, rejected } = decoded;
        let mut passed = Passing::default();
        if has_pieces {
            for record in records {
                self.pass_record(record, &mut passed);
            }
        } else {
            passed.records = records;
        }
        for at in (0..self.lines.len()).rev() {
            let is_touched = self.lines.get_mut(at).map(|line| &mut line.is_touched);
            let is_touched = is_touched.is_some_and(std::mem::take);
            if is_touched && asks_ack {
                self.release(at, &mut passed);
            }
        }
        Passed {
            decoded: Decoded {
                records: passed.records,
                rejected,
            },
            reservation: self.split(passed.bytes),
        }
    }

    /// Returns all pieces that are kept.
    pub fn release_all(&mut self) -> Passed {
        self.release_idle(u64::MAX)
    }

    /// Returns the pieces of lines that did not grow since this time, in
    /// nanoseconds since the Unix epoch.
    pub fn release_idle(&mut self, since: u64) -> Passed {
        let mut passed = Passing::default();
        while self
            .lines
            .first()
            .is_some_and(|line| line.observed() < since)
        {
            self.release(0, &mut passed);
        }
        Passed {
            decoded: Decoded {
                records: passed.records,
                ..Decoded::default()
            },
            reservation: self.split(passed.bytes),
        }
    }

    fn split(&mut self, bytes: usize) -> Option<Reservation> {
        (bytes > 0).then(|| self.reservation.split(bytes))
    }

    fn pass_record(&mut self, record: LogRecord, passed: &mut Passing) {
        let Some(piece) = piece::of(&record) else {
            return passed.records.push(record);
        };
        let line = self.lines.iter().position(|line| line.id == piece.id);
        let next = line
            .and_then(|at| self.lines.get(at))
            .map_or(1, |line| line.next);
        match line {
            // A piece that was there before, or whose first ones were released.
            _ if piece.ordinal < next => passed.records.push(record),
            // One before it is missing, and would not be waited for.
            Some(at) if piece.ordinal > next => {
                self.release(at, passed);
                passed.records.push(record);
            }
            None if piece.ordinal > next => passed.records.push(record),
            _ if piece.is_last => {
                let mut pieces = line.map_or_else(Vec::new, |at| self.take(at, passed));
                pieces.push(record);
                passed.records.extend(join(&pieces));
            }
            _ => self.keep(piece, line, record, passed),
        }
    }

    /// Keeps a piece that is the next one of its line. If there is no room, the
    /// line is returned with it.
    fn keep(
        &mut self,
        piece: Piece,
        line: Option<usize>,
        mut record: LogRecord,
        passed: &mut Passing,
    ) {
        let mut line = match line {
            Some(at) => self.lines.remove(at),
            None => Line {
                id: Text::from(&*piece.id),
                pieces: Vec::new(),
                next: 1,
                bytes: 0,
                is_touched: false,
            },
        };
        // The text is there twice while the pieces are being joined.
        let bytes = record.size() + text_bytes(&record) + piece.id.len();
        let is_kept = self.make_room(&line, bytes, passed) && self.reservation.spend(bytes).is_ok();
        if is_kept {
            record.detach();
            line.bytes += bytes;
        }
        line.pieces.push(record);
        line.next = line.next.saturating_add(1);
        line.is_touched = true;
        match is_kept {
            true => self.lines.push(line),
            false => passed.add(line.pieces, line.bytes),
        }
    }

    /// Returns the lines that grew least recently, until so many more bytes can be
    /// kept of a line that is in no list. If there can never be room for them,
    /// nothing is returned but false.
    fn make_room(&mut self, line: &Line, bytes: usize, passed: &mut Passing) -> bool {
        let bytes = line.bytes.saturating_add(bytes);
        if bytes > self.limits.bytes || self.limits.lines == 0 {
            return false;
        }
        let mut kept: usize = self.lines.iter().map(|line| line.bytes).sum();
        while kept > self.limits.bytes - bytes || self.lines.len() >= self.limits.lines {
            kept -= self.lines.first().map_or(kept, |line| line.bytes);
            self.release(0, passed);
        }
        true
    }

    /// Returns the pieces of a line as they are.
    fn release(&mut self, at: usize, passed: &mut Passing) {
        let pieces = self.take(at, passed);
        passed.records.extend(pieces);
    }

    fn take(&mut self, at: usize, passed: &mut Passing) -> Vec<LogRecord> {
        let line = self.lines.remove(at);
        passed.bytes += line.bytes;
        line.pieces
    }
}

/// What is going to be returned.
#[derive(Debug, Default)]
struct Passing {
    records: Vec<LogRecord>,
    /// What is charged for those of them that were kept.
    bytes: usize,
}

impl Passing {
    fn add(&mut self, records: Vec<LogRecord>, bytes: usize) {
        self.records.extend(records);
        self.bytes += bytes;
    }
}

/// What the text of a record is made of: the bytes as they came, and whether they
/// are not UTF-8. Docker also cuts within a character.
fn original(record: &LogRecord) -> (&[u8], bool) {
    let mut attributes = record.attributes.iter();
    let original = attributes.find(|(name, _)| *name == text::ORIGINAL);
    match original {
        Some((_, Value::Bytes(bytes))) => (bytes, true),
        _ => (record.body.as_bytes(), false),
    }
}

/// What a record adds to a joined text and its original, in bytes.
fn text_bytes(record: &LogRecord) -> usize {
    match original(record) {
        (original, true) => record.body.len() + original.len(),
        (text, false) => text.len(),
    }
}

/// The record that the pieces are together: the first one, with the text of all
/// and without the attributes that are about pieces. `None` if there are none.
fn join(pieces: &[LogRecord]) -> Option<LogRecord> {
    let first = pieces.first()?;
    let length = pieces.iter().map(|piece| original(piece).0.len()).sum();
    let mut bytes = Vec::with_capacity(length);
    for piece in pieces {
        bytes.extend_from_slice(original(piece).0);
    }
    let (body, original) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (
            String::from_utf8_lossy(error.as_bytes()).into_owned(),
            Some((text::ORIGINAL, Value::Bytes(error.into_bytes().into()))),
        ),
    };
    let attributes = first
        .attributes
        .iter()
        .filter(|(name, _)| !piece::is_about(name) && *name != text::ORIGINAL);
    Some(LogRecord {
        key: first.key.clone(),
        timestamp: first.timestamp,
        observed: first.observed,
        severity: first.severity,
        body: body.into(),
        attributes: attributes.cloned().chain(original).collect(),
        ..LogRecord::default()
    })
}
