//! What stands before the record in an entry: its time, and Fluent Bit's metadata.

use sluice_types::record::Value;

use super::fault::Fault;
use super::msgpack::{Reader, Token};
use crate::{text, time};
use bytes::Bytes;

/// The type of the extension that has a time with nanoseconds.
const EVENT_TIME: i8 = 0;
/// The seconds by which Fluent Bit marks the first and the last entry of a group
/// of records: -1 and -2, in a field without a sign.
/// `include/fluent-bit/flb_log_event.h` has them.
const GROUP_START: u32 = u32::MAX;
const GROUP_END: u32 = u32::MAX - 1;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// A record, whose fields come next.
    Record {
        /// In nanoseconds since the Unix epoch; `None` if the entry has none.
        time: Option<u64>,
        /// The bytes of Fluent Bit's metadata, if there are any.
        metadata: Option<&'a [u8]>,
    },
    /// What the following records come from comes next.
    GroupStart,
    /// The records of a group are over.
    GroupEnd,
}

/// Reads the head of an entry, `[time, record]` or `[[time, metadata], record]`
/// that is a part of `whole`, and returns how many values follow in it.
///
/// # Errors
/// What is wrong, worded for the producer.
#[inline]
pub(super) fn head<'a>(
    reader: &mut Reader<'a>,
    whole: &Bytes,
) -> Result<(Head<'a>, usize), String> {
    // What most clients send.
    if let [0x92, 0xd7, 0, time @ ..] = reader.rest()
        && let Some((time, rest)) = time.split_first_chunk::<8>()
    {
        *reader = Reader::new(rest);
        let (time, metadata) = (event_time(time)?, None);
        return Ok((Head::Record { time, metadata }, 1));
    }
    let fault = |fault: Fault| format!("the entry: {fault}");
    let Token::Array(length @ 2..) = reader.value().map_err(fault)? else {
        return Err("an entry is no array of time and record".to_owned());
    };
    let rest = length - 1;
    let first = reader.value().map_err(fault)?;
    let Token::Array(parts @ 1..) = first else {
        let time = of_token(first, whole)?;
        let metadata = None;
        return Ok((Head::Record { time, metadata }, rest));
    };
    let mut inner = Reader::new(reader.rest());
    for _ in 0..parts {
        reader.skip().map_err(fault)?;
    }
    let time = inner.value().map_err(fault)?;
    match seconds(time) {
        Some(GROUP_START) => return Ok((Head::GroupStart, rest)),
        Some(GROUP_END) => return Ok((Head::GroupEnd, rest)),
        _ => {}
    }
    let time = of_token(time, whole)?;
    let metadata = match parts {
        1 => None,
        _ => Some(inner.skip().map_err(fault)?),
    };
    Ok((Head::Record { time, metadata }, rest))
}

/// The time that a value says, in nanoseconds since the Unix epoch; `None` if it
/// says none.
///
/// # Errors
/// What is wrong, worded for the producer.
pub(super) fn of_token(token: Token<'_>, whole: &Bytes) -> Result<Option<u64>, String> {
    let value = match token {
        Token::Nil => return Ok(None),
        Token::Ext(EVENT_TIME, bytes) => return event_time(bytes),
        Token::Integer(seconds) => Value::Integer(seconds),
        Token::Float(seconds) => Value::Float(seconds),
        Token::Str(bytes) => text::value(whole, bytes),
        _ => return Err("the time is of a type that times do not have".to_owned()),
    };
    let time = time::nanoseconds(&value)?;
    Ok((time > 0).then_some(time))
}

fn event_time(bytes: &[u8]) -> Result<Option<u64>, String> {
    let [a, b, c, d, e, f, g, h] = *bytes else {
        return Err("an EventTime does not have 8 bytes".to_owned());
    };
    let seconds = u64::from(u32::from_be_bytes([a, b, c, d]));
    let nanoseconds = u64::from(u32::from_be_bytes([e, f, g, h]));
    let time = seconds * 1_000_000_000 + nanoseconds;
    Ok((time > 0).then_some(time))
}

/// The seconds of an EventTime.
fn seconds(token: Token<'_>) -> Option<u32> {
    match token {
        Token::Ext(EVENT_TIME, bytes) => {
            bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &'static [u8]) -> Result<(Head<'static>, usize), String> {
        let whole = Bytes::from_static(bytes);
        // The same memory as that of `whole`.
        head(&mut Reader::new(bytes), &whole)
    }

    fn time(bytes: &'static [u8]) -> Option<u64> {
        match read(bytes) {
            Ok((Head::Record { time, metadata }, 1)) if metadata.is_none() => time,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn times_of_every_type_are_read() {
        // As Docker sent it with sub-second precision.
        let event_time = b"\x92\xd7\0k\x01p\x87\x07]\xfb\xa2\x80";
        assert_eq!(time(event_time), Some(1_795_256_455_123_599_778));
        let long = b"\x92\xc7\x08\0k\x01p\x87\x07]\xfb\xa2\x80";
        assert_eq!(time(long), Some(1_795_256_455_123_599_778));
        let seconds = b"\x92\xcek\x01p\x87\x80";
        assert_eq!(time(seconds), Some(1_795_256_455_000_000_000));
        let float = b"\x92\xcb\x41\xda\xc0\x5c\x21\xe0\0\0\x80";
        assert_eq!(time(float), Some(1_795_256_455_500_000_000));
        let text = b"\x92\xb42026-11-20T10:56:34Z\x80";
        assert_eq!(time(text), Some(1_795_172_194_000_000_000));
    }

    #[test]
    fn a_time_of_nil_or_zero_is_none() {
        for bytes in [
            &b"\x92\xc0\x80"[..],
            b"\x92\x00\x80",
            b"\x92\xd7\0\0\0\0\0\0\0\0\0\x80",
            b"\x92\xcb\0\0\0\0\0\0\0\0\x80",
        ] {
            assert_eq!(time(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn metadata_and_groups_of_fluent_bit_are_told_apart() {
        let metadata = &b"\x81\xa1k\xa1v"[..];
        let time = Some(1_795_256_455_123_599_778);
        for (bytes, expected) in [
            (
                &b"\x92\x92\xd7\0k\x01p\x87\x07]\xfb\xa2\x81\xa1k\xa1v\x80"[..],
                Head::Record {
                    time,
                    metadata: Some(metadata),
                },
            ),
            (
                b"\x92\x91\xd7\0k\x01p\x87\x07]\xfb\xa2\x80",
                Head::Record {
                    time,
                    metadata: None,
                },
            ),
            (
                b"\x92\x92\xd7\0\xff\xff\xff\xff\0\0\0\0\x80\x80",
                Head::GroupStart,
            ),
            (
                b"\x92\x92\xd7\0\xff\xff\xff\xfe\0\0\0\0\x80\x80",
                Head::GroupEnd,
            ),
        ] {
            assert_eq!(read(bytes), Ok((expected, 1)), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for (bytes, reason) in [
            (&b"\x80"[..], "no array"),
            (b"\x91\x01", "no array"),
            (b"\x92\xff\x80", "time"),
            (b"\x92\xc3\x80", "type"),
            (b"\x92\xd4\0a\x80", "8 bytes"),
            (b"\x92\xd4\x01a\x80", "type"),
            (b"\x92\x90\x80", "type"),
            (b"\x92\xc1\x80", "0xc1"),
            (b"\x92\xa4noon\x80", "noon"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
