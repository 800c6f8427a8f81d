//! Random messages: decoding must not panic, must charge what it makes, and must
//! make of them what `rmpv` reads. `SLUICE_FUZZ_SECONDS` says how long they run
//! (1 if it is not set). A failure prints the seed of its message.

use bytes::Bytes;
use rand::RngExt;
use rmpv::Value as Packed;
use sluice_types::record::{LogRecord, Value, overhead};
use sluice_types::record_document::RecordDocument;

use super::arbitrary::{any_message, any_value, mutate, written};
use super::fault::Fault;
use super::framer::{Framer, Framing};
use super::message::Content;
use super::msgpack::Reader;
use super::reference;
use super::sample::{LIMITS, decode_with, reasons};
use crate::error::DecodeError;
use crate::fuzzing::each_seed as fuzz;

/// Whether an entry is one that is not a record but marks a group.
fn is_marker(entry: &Packed) -> bool {
    let time = &entry[0][0];
    matches!(time, Packed::Ext(0, bytes) if bytes.len() >= 4 && bytes.starts_with(b"\xff\xff\xff"))
}

/// The bytes of a record that are not those of its entry.
fn copied(record: &LogRecord) -> usize {
    let own = record.attributes.iter().skip(1);
    let json = own.map(|(_, value)| match value {
        // The text of null is part of the program.
        Value::Json(json) if **json != *"null" => json.len(),
        _ => 0,
    });
    json.sum::<usize>() + record.key.as_ref().map_or(0, |key| key.len())
}

#[test]
fn records_are_what_the_reference_makes_of_them() {
    fuzz(|rng| {
        let (all, body) = any_message(rng, false);
        let body = Bytes::from(body);
        let (message, reservation) = decode_with(1 << 30, LIMITS, &body).unwrap();
        let Content::Records(records) = message.content else {
            panic!("{message:?}")
        };
        let decoded = &records.decoded;
        let overheads: usize = decoded
            .records
            .iter()
            .map(|r| overhead(r.attributes.own_len()))
            .sum();
        let copies: usize = decoded.records.iter().map(copied).sum();
        let rejected = decoded.rejected.bytes();
        assert!(reservation.spent() >= overheads + copies + rejected);
        for record in &decoded.records {
            let form = RecordDocument::from(record);
            let json = serde_json::to_vec(&form).unwrap();
            assert_eq!(
                serde_json::from_slice::<RecordDocument>(&json).unwrap(),
                form
            );
        }
        let mut found = records.decoded.records.iter();
        let count = records.decoded.records.len() + records.decoded.rejected.len();
        let places: Vec<_> = reasons(super::message::Records {
            decoded: crate::decoded::Decoded {
                records: Vec::new(),
                rejected: records.decoded.rejected,
            },
            has_pieces: false,
        });
        let mut place = 0;
        for entry in all.iter().filter(|entry| !is_marker(entry)) {
            if let Some((_, reason)) = places.iter().find(|(at, _)| *at == place) {
                // Rejected for its time or its form, or the reference agrees.
                let is_record = entry.as_array().is_some_and(|parts| parts.len() >= 2);
                if is_record
                    && !reason.to_lowercase().contains("time")
                    && !reason.contains("metadata")
                {
                    assert!(reference::record(&entry[1]).is_none(), "{reason}: {entry}");
                }
            } else {
                let record = found.next().unwrap();
                match reference::record(&entry[1]) {
                    Some(mut expected) => {
                        reference::add_metadata(&mut expected.0, &entry[0]);
                        reference::check(record, expected);
                    }
                    // What another of the same name replaces is not even read.
                    None => assert!(reference::repeats(&entry[1]), "{entry}"),
                }
            }
            place += 1;
        }
        assert_eq!(count, place);
    });
}

#[test]
fn any_bytes_as_a_message() {
    fuzz(|rng| {
        let (_, mut body) = any_message(rng, true);
        mutate(rng, &mut body);
        let body = Bytes::from(body);
        match decode_with(1 << 30, LIMITS, &body) {
            Ok((message, reservation)) => {
                // What is no MessagePack is not read.
                assert_eq!(reference::values(&body).1, 0, "{body:?}");
                if let Content::Records(records) = message.content {
                    let records = records.decoded.records.iter();
                    let sizes: usize = records.map(|r| overhead(r.attributes.own_len())).sum();
                    assert!(reservation.spent() >= sizes);
                }
            }
            Err(DecodeError::Malformed(_)) => {}
            Err(other) => panic!("{other}"),
        }
        // With little memory it ends, too.
        drop(decode_with(rng.random_range(1..5000), LIMITS, &body));
    });
}

#[test]
fn any_bytes_are_read_as_by_the_reference() {
    fuzz(|rng| {
        let value = any_value(rng, 4);
        let mut bytes = written(rng, &value);
        if rng.random_bool(0.7) {
            mutate(rng, &mut bytes);
        }
        let (values, rest) = reference::values(&bytes);
        let mut reader = Reader::new(&bytes);
        for value in &values {
            let Ok(skipped) = reader.skip() else {
                // The reference reads this byte as nil.
                assert_eq!(reader.skip(), Err(Fault::Unused));
                assert!(reader.rest().contains(&0xc1));
                return;
            };
            let (again, none) = reference::values(skipped);
            assert_eq!((format!("{again:?}"), none), (format!("{:?}", [value]), 0));
        }
        assert_eq!(reader.rest().len(), rest);
        if rest > 0 {
            assert!(matches!(reader.skip(), Err(Fault::Ended | Fault::Unused)));
        }
    });
}

#[test]
fn any_stream_in_any_pieces() {
    fuzz(|rng| {
        let messages = (0..rng.random_range(1..4)).map(|_| any_message(rng, true).1);
        let messages: Vec<_> = messages.collect();
        let stream = messages.concat();
        let mut framer = Framer::new(1 << 30);
        let (mut start, mut end) = (0, 0);
        let mut lengths = Vec::new();
        while start < stream.len() {
            match framer.next(&stream[start..end]).unwrap() {
                Framing::Whole(length) => {
                    lengths.push(length);
                    start += length;
                }
                Framing::Needs(length) => {
                    assert!(start + length > end && start + length <= stream.len());
                    end += rng.random_range(1..=stream.len() - end);
                }
            }
        }
        let expected: Vec<_> = messages.iter().map(Vec::len).collect();
        assert_eq!(lengths, expected);
    });
}

#[test]
fn any_bytes_as_a_stream() {
    fuzz(|rng| {
        let (_, mut stream) = any_message(rng, true);
        mutate(rng, &mut stream);
        let most = rng.random_range(1..2000);
        let at_once = Framer::new(most).next(&stream);
        let mut framer = Framer::new(most);
        let mut last = framer.next(&[]);
        for end in 1..=stream.len() {
            if !matches!(last, Ok(Framing::Needs(_))) {
                break;
            }
            last = framer.next(&stream[..end]);
        }
        // It may become too large before a byte arrives that is wrong.
        assert_eq!(last.ok(), at_once.ok());
        if let Ok(Framing::Whole(length)) = at_once {
            assert!(length <= most && reference::values(&stream[..length]).0.len() == 1);
        }
    });
}
