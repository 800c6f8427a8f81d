//! What a hostile request can cost.

use bytes::Bytes;
use sluice_types::record::overhead;

use super::reference::{
    BOTH, Decoder, MEMORY, Pair, Stream, decode, decode_within, entry, in_protobuf, rejected,
    stream,
};
use super::{json, protobuf};
use crate::error::DecodeError;

fn labels(count: usize) -> String {
    let labels: Vec<_> = (0..count).map(|n| format!("l{n}=\"{n}\"")).collect();
    format!("{{{}}}", labels.join(","))
}

fn metadata(count: usize) -> Vec<Pair> {
    let pair = |n: usize| Pair {
        name: format!("m{n}"),
        value: String::new(),
    };
    (0..count).map(pair).collect()
}

fn spent(decoder: Decoder, body: &Bytes) -> usize {
    let (decoded, reservation) = decode_within(MEMORY, decoder, body, 100_000).unwrap();
    assert_eq!(decoded.rejected.len(), 0);
    reservation.spent()
}

fn is_stopped_within(memory: usize, decoder: Decoder, body: &Bytes) -> bool {
    let refused = decode_within(memory, decoder, body, 100_000);
    matches!(refused, Err(DecodeError::Stopped(_)))
}

#[test]
fn the_labels_of_a_stream_are_charged_once() {
    let entries = vec![entry("a", &[]); 1000];
    let streams = [
        stream(&labels(100), entries.clone()),
        stream(&labels(100), entries),
    ];
    for (decoder, write) in BOTH {
        let body = write(&streams);
        let records = 2000 * overhead(0);
        let labels = overhead(100);
        let spent = spent(decoder, &body);
        // The texts of JSON labels as text are unescaped first.
        let texts = 4000..=10_000;
        assert!(
            (records + labels..=records + 2 * labels + texts.end()).contains(&spent),
            "{spent}"
        );
        assert!(is_stopped_within(spent - 1000, decoder, &body));
        assert!(decode_within(spent, decoder, &body, 2000).is_ok());
    }
}

#[test]
fn other_labels_for_each_entry_are_charged_for_each() {
    let streams: Vec<_> = (0..1000)
        .map(|n| stream(&labels(n % 7 + 3), [entry("a", &[])]))
        .collect();
    for (decoder, write) in BOTH {
        let body = write(&streams);
        let least = 1000 * (overhead(0) + overhead(3));
        assert!(spent(decoder, &body) > least);
        assert!(is_stopped_within(least, decoder, &body));
    }
}

#[test]
fn labels_that_metadata_replaces_are_charged_for_each_entry() {
    let entries = vec![entry("a", &[("l0", "other")]); 1000];
    let streams = [stream(&labels(50), entries)];
    for (decoder, write) in BOTH {
        let body = write(&streams);
        assert!(spent(decoder, &body) >= 1000 * overhead(50));
        assert!(is_stopped_within(1000 * overhead(50), decoder, &body));
    }
}

#[test]
fn a_record_has_at_most_1024_attributes() {
    for (own, shared, is_kept) in [
        (1000, 24, true),
        (1001, 24, false),
        (1024, 0, true),
        (1025, 0, false),
    ] {
        let mut large = entry("a", &[]);
        large.metadata = metadata(own);
        let streams = [stream(&labels(shared), [entry("b", &[]), large])];
        for (decoder, write) in BOTH {
            let decoded = decode(decoder, write(&streams)).unwrap();
            assert_eq!(decoded.records.len(), 1 + usize::from(is_kept));
            for (place, reason) in rejected(decoded) {
                assert_eq!(place, 1);
                assert!(reason.contains("more than 1024 attributes"), "{reason}");
            }
        }
    }
}

#[test]
fn a_stream_with_too_many_labels_is_rejected_entry_by_entry() {
    let streams = [
        stream(&labels(1025), vec![entry("a", &[]); 3]),
        stream(&labels(1024), [entry("b", &[])]),
    ];
    for (decoder, write) in BOTH {
        let decoded = decode(decoder, write(&streams)).unwrap();
        assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 3));
        assert_eq!(decoded.records[0].attributes.len(), 1024);
    }
}

#[test]
fn more_entries_than_may_wait_are_not_even_decoded() {
    let good: Vec<Stream> = (0..11).map(|_| stream("{}", [entry("a", &[])])).collect();
    let bad: Vec<Stream> = vec![stream("{", vec![entry("a", &[]); 11])];
    for (decoder, write) in BOTH {
        for streams in [&good, &bad] {
            let body = write(streams);
            assert!(decode_within(MEMORY, decoder, &body, 11).is_ok());
            let refused = decode_within(MEMORY, decoder, &body, 10);
            assert!(matches!(refused, Err(DecodeError::Stopped(_))));
        }
    }
}

#[test]
fn reasons_never_repeat_a_long_input() {
    let long = "x".repeat(1 << 20);
    let bodies = [
        format!(r#"{{"streams":[{{"values":[["{long}","a"]]}}]}}"#),
        format!(r#"{{"streams":[{{"values":[["1","a",{{"{long}\q":1}}]]}}]}}"#),
        format!(r#"{{"streams":[{{"stream":{{"{long}\q":1}},"values":[["1","a"]]}}]}}"#),
        format!(r#"{{"streams":[{{"labels":"{{{long}","values":[["1","a"]]}}]}}"#),
    ];
    for body in bodies {
        let [(0, reason)] = &rejected(decode(json::decode, body).unwrap())[..] else {
            panic!("not rejected")
        };
        assert!(reason.chars().count() <= 200, "{reason}");
    }
}

#[test]
fn a_deep_value_is_rejected_and_its_neighbours_are_not() {
    let deep = format!("{}{}", "[".repeat(1 << 18), "]".repeat(1 << 18));
    let entries = format!(r#"[["1","a",{{"m":[[1]]}}],["1","b",{{"m":{deep}}}],{deep},["1","c"]]"#);
    let body = format!(
        r#"{{"streams":[{{"values":{entries}}},{{"stream":{{"a":{deep}}},"values":[["1","d"]]}}]}}"#
    );
    let decoded = decode(json::decode, body).unwrap();
    let kept: Vec<_> = decoded.records.iter().map(|record| &*record.body).collect();
    assert_eq!(kept, ["a", "c"]);
    for (place, reason) in rejected(decoded) {
        assert!([1, 2, 4].contains(&place), "{place}");
        assert!(reason.contains("32 levels"), "{reason}");
    }
}

#[test]
fn a_short_entry_does_not_keep_a_large_body() {
    let mut body = in_protobuf(&[stream("{}", [entry("short", &[])])]).to_vec();
    // A field that nobody knows.
    body.extend(b"\xfa\x01\x80\x80\x40");
    body.resize(body.len() + (1 << 20), b'x');
    let body = Bytes::from(body);
    let range = body.as_ptr_range();
    let (decoded, _) = decode_within(MEMORY, protobuf::decode, &body, 10).unwrap();
    assert_eq!(decoded.records[0].body, "short");
    assert!(!range.contains(&decoded.records[0].body.as_bytes().as_ptr()));
}
