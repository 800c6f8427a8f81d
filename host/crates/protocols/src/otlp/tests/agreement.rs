//! Both decoders agree with each other, and with `opentelemetry-proto` and
//! `prost`, on random requests and on what becomes of them by mutations.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::fuzz::{checked, fuzz, mutated};
use super::*;
use sluice_types::record_document::RecordDocument;

/// Fields that lead to another meaning of what is there.
const PIECES: &[&[u8]] = &[
    b"\x0a\x00",
    b"\x12\x00",
    b"\x12\x02\x12\x00",
    b"\x2a\x00",
    b"\x2a\x03\x0a\x01b",
    b"\x2a\x04\x2a\x02\x0a\x00",
    b"\x2a\x06\x2a\x04\x0a\x02\x18\x07",
    b"\x32\x00",
    b"\x32\x03\x0a\x01k",
    b"\x32\x06\x0a\x04\x12\x02\x18\x01",
    b"\x32\x05\x0a\x01k\x12\x00",
    b"\x12\x03\x0a\x01v",
    b"\x0a\x01k",
    b"\x10\x09",
    b"\x18\x01",
    b"\x21\0\0\0\0\0\0\xf0\x3f",
    b"\x3a\x01\xff",
    b"\x40\x01",
    b"\x45\x01\0\0\0",
    b"\x59\x01\0\0\0\0\0\0\0",
    b"\x62\x01e",
    b"\x1a\x01s",
    b"\x0b\x0c",
    b"\xa2\x06\x01x",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
];

/// Why `prost` refuses what is read here.
const LENIENT: [&str; 9] = [
    "UTF-8",
    "recursion limit",
    // Fields that are not kept are not looked at.
    "schema_url",
    "dropped_attributes_count",
    "key_strindex",
    "entity_refs",
    // Of a resource or a scope without records, nothing is looked at.
    "ResourceLogs.resource",
    "ScopeLogs.scope",
    // Nor is a value that a later one replaces.
    "AnyValue.value",
];

/// What a body was decoded to: records, and the reasons of those refused, in
/// order.
fn in_order(decoded: Decoded) -> Vec<Result<LogRecord, String>> {
    let mut rejections = decoded
        .rejected
        .merge(Vec::new())
        .listed
        .into_iter()
        .peekable();
    let mut records = decoded.records.into_iter();
    let mut all = Vec::new();
    loop {
        let at = all.len();
        if let Some(rejection) = rejections.next_if(|rejection| rejection.index == at) {
            all.push(Err(rejection.reason));
        } else if let Some(record) = records.next() {
            all.push(Ok(record));
        } else {
            return all;
        }
    }
}

/// By their forms, in which one NaN is like another.
fn assert_same(record: &LogRecord, expected: &LogRecord) {
    let [record, expected] = [record, expected].map(RecordDocument::from);
    assert_eq!(record, expected);
}

fn assert_agrees(decoded: Decoded, request: &ExportLogsServiceRequest) {
    let decoded = in_order(decoded);
    let expected = reference::records(request);
    assert_eq!(decoded.len(), expected.len());
    for pair in decoded.iter().zip(&expected) {
        match pair {
            (Ok(record), Some(expected)) => assert_same(record, expected),
            (Err(reason), None) => assert!(
                reason.contains("more than 1024 attributes") || reason.contains("nested deeper"),
                "{reason}"
            ),
            (Err(reason), Some(_)) => assert!(reason.contains("group"), "{reason}"),
            (Ok(record), None) => panic!("{record:?}"),
        }
    }
}

#[test]
fn any_request_means_the_same_in_both_forms() {
    fuzz(|seed| {
        let request = generator::request(seed);
        let body = Bytes::from(request.encode_to_vec());
        assert_agrees(checked(protobuf::decode, &body, 1000).unwrap(), &request);
        for json in [
            json_form::plain(&request),
            json_form::any_form(&request, seed),
        ] {
            let decoded = checked(json::decode, &json.into(), 1000).unwrap();
            assert_agrees(decoded, &request);
        }
    });
}

#[test]
fn what_prost_reads_is_read_the_same_and_little_more() {
    fuzz(|seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let body = generator::request(seed).encode_to_vec();
        let body = Bytes::from(mutated(body, &mut rng, PIECES));
        let decoded = checked(protobuf::decode, &body, rng.random_range(0..10_000));
        match (decoded, ExportLogsServiceRequest::decode(body)) {
            (Ok(decoded), Ok(request)) => assert_agrees(decoded, &request),
            (Err(DecodeError::Malformed(reason)), Ok(_)) => {
                assert!(reason.contains("group"), "{reason}");
            }
            (Err(error), Ok(_)) => panic!("{error}"),
            (Ok(decoded), Err(error)) if decoded.rejected.is_empty() => {
                let error = error.to_string();
                assert!(LENIENT.iter().any(|part| error.contains(part)), "{error}");
            }
            (_, Err(_)) => {}
        }
    });
}
