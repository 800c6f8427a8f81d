//! Objects back to back, with or without white space between, and in arrays.

use super::cursor::{Cursor, Fault};
use crate::decoded::Decoding;
use crate::meter::Meter;
use sluice_types::record::LogRecord;

/// Why an object became no record.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The text cannot be read, and nothing behind this place can.
    Broken(Fault),
    /// It is not accepted, worded for the producer.
    Refused(String),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

/// Reads a record of each value of a text, and of each element of its arrays.
/// Where the text is broken, one rejection stands for all that is left of it.
pub(crate) fn each(
    text: &[u8],
    decoding: &mut Decoding<'_>,
    mut read: impl FnMut(&mut Cursor<'_>, &mut Meter) -> Result<LogRecord, Problem>,
) {
    let mut cursor = Cursor::new(text);
    while cursor.peek().is_some() && !decoding.is_stopped() {
        let values = match cursor.take(b'[') {
            true => elements(&mut cursor, decoding, &mut read),
            false => one(&mut cursor, decoding, &mut read),
        };
        if let Err(Ended) = values {
            return;
        }
    }
}

/// Nothing more can be read.
struct Ended;

fn elements(
    cursor: &mut Cursor<'_>,
    decoding: &mut Decoding<'_>,
    read: &mut impl FnMut(&mut Cursor<'_>, &mut Meter) -> Result<LogRecord, Problem>,
) -> Result<(), Ended> {
    let mut is_first = true;
    loop {
        if decoding.is_stopped() {
            return Err(Ended);
        }
        let start = cursor.at();
        match cursor.element(&mut is_first) {
            Ok(true) => one(cursor, decoding, read)?,
            Ok(false) => return Ok(()),
            Err(fault) => {
                decoding.add(cursor.from(start), |_| Err(broken(fault)));
                return Err(Ended);
            }
        }
    }
}

fn one(
    cursor: &mut Cursor<'_>,
    decoding: &mut Decoding<'_>,
    read: &mut impl FnMut(&mut Cursor<'_>, &mut Meter) -> Result<LogRecord, Problem>,
) -> Result<(), Ended> {
    // If the record is not even read, nothing may follow either.
    let mut end = Err(Ended);
    cursor.peek();
    let start = cursor.at();
    let is_read = decoding.read(|meter| {
        let record = read(cursor, meter);
        if !matches!(record, Err(Problem::Broken(_))) {
            end = Ok(());
        }
        record.map_err(|problem| match problem {
            Problem::Broken(fault) => broken(fault),
            Problem::Refused(reason) => reason,
        })
    });
    if !is_read {
        let source = match end {
            Ok(()) => cursor.since(start),
            Err(Ended) => cursor.from(start),
        };
        decoding.show(source);
    }
    end
}

fn broken(fault: Fault) -> String {
    format!("{fault}; nothing from here on was read")
}
