//! The rules by which entries become records.

use bytes::Bytes;
use sluice_types::record::{LogRecord, Severity, Value};

use super::reference::{
    BOTH, Expected, MEMORY, OBSERVED, Stream, attributes, decode, entry, in_protobuf, rejected,
    stream,
};
use super::{is_json, json, protobuf};
use crate::error::DecodeError;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};

/// The only record of a stream with one entry, the same from both decoders.
fn record(labels: &str, metadata: &[(&str, &str)]) -> LogRecord {
    let streams = [stream(labels, [entry("a line", metadata)])];
    let [one, other] = BOTH.map(|(decoder, write)| {
        let decoded = decode(decoder, write(&streams)).unwrap();
        assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 0));
        decoded.records.into_iter().next().unwrap()
    });
    assert_eq!(Expected::from(&one), Expected::from(&other));
    one
}

#[test]
fn labels_may_follow_the_entries() {
    let [labels, line] = [&b"\n\x07{a=\"b\"}"[..], b"\x12\x03\x12\x01x"];
    let body = [b"\n\x0e", line, labels].concat();
    let decoded = decode(protobuf::decode, body).unwrap();
    assert_eq!(attributes(&decoded.records[0]), [("a", "b")]);
    let body = r#"{"streams":[{"values":[["0","x"]],"stream":{"a":"b"}}],"more":[{}]}"#;
    let decoded = decode(json::decode, body).unwrap();
    assert_eq!(attributes(&decoded.records[0]), [("a", "b")]);
}

#[test]
fn nothing_at_all_is_no_entry() {
    assert!(decode(protobuf::decode, "").unwrap().records.is_empty());
    for body in [
        "{}",
        r#"{"streams":[]}"#,
        r#"{"streams":null}"#,
        r#"{"streams":[{"stream":{}},{"values":null},{"stream":7,"values":[]}]}"#,
    ] {
        let decoded = decode(json::decode, body).unwrap();
        assert_eq!(
            (decoded.records.len(), decoded.rejected.len()),
            (0, 0),
            "{body}"
        );
    }
}

#[test]
fn the_metadata_counts_where_a_label_has_the_same_name() {
    let other = record(
        r#"{job="a", pod="p"}"#,
        &[("job", "b"), ("user", "7"), ("job", "c")],
    );
    assert_eq!(
        attributes(&other),
        [("job", "c"), ("pod", "p"), ("user", "7")]
    );
    let same = record(r#"{job="a", pod="p"}"#, &[("job", "a"), ("user", "7")]);
    assert_eq!(
        attributes(&same),
        [("job", "a"), ("pod", "p"), ("user", "7")]
    );
    assert_eq!(
        (other.attributes.own_len(), same.attributes.own_len()),
        (3, 1)
    );
}

#[test]
fn labels_are_shared_by_the_records_of_a_stream() {
    let labels = r#"{a="b", c="d"}"#;
    let streams = [
        stream(labels, [entry("1", &[]), entry("2", &[("x", "y")])]),
        stream(labels, [entry("3", &[])]),
    ];
    for (decoder, write) in BOTH {
        let records = decode(decoder, write(&streams)).unwrap().records;
        let shared =
            |record: &LogRecord| std::ptr::from_ref(record.attributes.iter().next().unwrap());
        assert!(
            records
                .iter()
                .all(|record| shared(record) == shared(&records[0]))
        );
        let own: Vec<_> = records
            .iter()
            .map(|record| record.attributes.own_len())
            .collect();
        assert_eq!(own, [0, 1, 0]);
    }
}

#[test]
fn only_the_header_names_the_tenant() {
    let streams = [stream(
        r#"{"loki.tenant"="no"}"#,
        [entry("a", &[("loki.tenant", "neither")])],
    )];
    for (decoder, write) in BOTH {
        let body = write(&streams);
        let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
        let decode = |meter: &mut Meter| decoder(&body, Some("yes"), OBSERVED, 3, meter);
        let (decoded, _) = meter.measure(decode).unwrap();
        assert_eq!(attributes(&decoded.records[0]), [("loki.tenant", "yes")]);
    }
}

#[test]
fn the_service_is_known_by_both_names() {
    let label = record(r#"{service_name="s"}"#, &[]);
    assert_eq!(
        attributes(&label),
        [("service.name", "s"), ("service_name", "s")]
    );
    let metadata = record(r#"{service_name="s"}"#, &[("service_name", "t")]);
    assert_eq!(
        attributes(&metadata),
        [("service.name", "t"), ("service_name", "t")]
    );
    let given = record("{}", &[("service.name", "n"), ("service_name", "s")]);
    assert_eq!(
        attributes(&given),
        [("service.name", "n"), ("service_name", "s")]
    );
    assert_eq!(
        attributes(&record(r#"{service="s"}"#, &[])),
        [("service", "s")]
    );
}

#[test]
fn the_severity_is_the_first_name_that_is_known() {
    for (labels, metadata, expected) in [
        (r#"{level="WARN"}"#, &[][..], Severity::Warn),
        (r#"{level="30", severity="fatal"}"#, &[], Severity::Fatal),
        (
            r#"{detected_level="debug", level="error"}"#,
            &[],
            Severity::Error,
        ),
        (r#"{detected_level="debug"}"#, &[], Severity::Debug),
        (
            r#"{level="info"}"#,
            &[("detected_level", "error")],
            Severity::Error,
        ),
        (
            r#"{level="info"}"#,
            &[("detected_level", "unknown")],
            Severity::Info,
        ),
        (r#"{lvl="info"}"#, &[("a", "b")], Severity::Unspecified),
    ] {
        let record = record(labels, metadata);
        assert_eq!(record.severity, expected, "{labels} {metadata:?}");
        assert!(!record.attributes.is_empty());
    }
}

#[test]
fn a_time_is_nanoseconds_or_what_is_meant() {
    let observed = [
        (r#""0""#, OBSERVED),
        ("0", OBSERVED),
        ("null", OBSERVED),
        (r#""""#, OBSERVED),
    ];
    let times = [
        (r#""1795257400558468864""#, 1_795_257_400_558_468_864),
        ("1795257400558468864", 1_795_257_400_558_468_864),
        (r#""18446744073709551615""#, u64::MAX),
        (r#""1795257400558""#, 1_795_257_400_558_000_000),
        (r#""1795257400.5""#, 1_795_257_400_500_000_000),
        (r#""2026-11-21T10:10:14Z""#, 1_795_255_814_000_000_000),
    ];
    for (time, expected) in observed.into_iter().chain(times) {
        let body = format!(r#"{{"streams":[{{"values":[[{time},"a"]]}}]}}"#);
        let decoded = decode(json::decode, body).unwrap();
        assert_eq!(decoded.records[0].timestamp, expected, "{time}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_rejected_alone() {
    let body = r#"{"streams":[
        {"stream":{"a":"b"},"values":[["1","0"],["noon","1"],["-1","2"],[],["1"],["1",4],7,
            ["1","7",["m"]],["1","\q"],[[1],"9"],["1","10",null],["1","11",{"m":null}],["1","12",{},"more"]]},
        7,{"values":{}},{"stream":[],"values":[["1","15"]]},{"labels":"{a","values":[["1","16"]]},
        {"values":[["1","17"]]}]}"#;
    let decoded = decode(json::decode, body).unwrap();
    let kept: Vec<_> = decoded.records.iter().map(|record| &*record.body).collect();
    assert_eq!(kept, ["0", "10", "11", "12", "17"]);
    let rejected = rejected(decoded);
    let places: Vec<_> = rejected.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16]);
    let names =
        |at: usize, text: &str| assert!(rejected[at].1.contains(text), "{:?}", rejected[at]);
    names(0, "noon");
    names(4, "line is not a string");
    names(6, "metadata");
    names(9, "not an object");
    names(12, "labels of its stream");
}

#[test]
fn a_message_that_cannot_be_read_is_rejected_alone() {
    let mut streams = [
        stream("{}", [entry("0", &[]), entry("1", &[])]),
        stream("{", [entry("2", &[]), entry("3", &[])]),
        stream("{}", [entry("4", &[]), entry("5", &[])]),
    ];
    streams[0].entries[1].timestamp.as_mut().unwrap().nanos = 1_000_000_000;
    streams[2].entries[0].timestamp.as_mut().unwrap().seconds = -1;
    let mut body = in_protobuf(&streams).to_vec();
    // Entries whose line, time and metadata are numbers, cut short, or not UTF-8.
    for entry in [
        &b"\x10\x01"[..],
        b"\x08\x01",
        b"\x12\x05a",
        b"\x0a\x02\x0a\x00",
        b"\x1a\x02\x08\x00",
        b"\x1a\x03\x0a\x01\xff",
    ] {
        let length = u8::try_from(entry.len()).unwrap();
        body.extend([&b"\n"[..], &[length + 6], b"\n\x02{}\x12", &[length], entry].concat());
    }
    let decoded = decode(protobuf::decode, body).unwrap();
    let kept: Vec<_> = decoded.records.iter().map(|record| &*record.body).collect();
    assert_eq!(kept, ["0", "5"]);
    let rejected = rejected(decoded);
    let places: Vec<_> = rejected.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    assert!(
        rejected[1].1.contains("name of a label at byte 1"),
        "{rejected:?}"
    );
}

#[test]
fn a_body_that_is_something_else_is_malformed() {
    for body in [
        "",
        "[]",
        "7",
        "{",
        r#"{"streams":7}"#,
        r#"{"streams":[{]}"#,
        "{} {}",
        r#"{"streams":[{"values":[1 2]}]}"#,
    ] {
        let refused = decode(json::decode, body);
        assert!(matches!(refused, Err(DecodeError::Malformed(_))), "{body}");
    }
    let good = in_protobuf(&[stream("{}", [entry("a", &[])])]);
    for body in [
        &b"{}"[..],
        b"\x08\x01",
        b"\n\x02\x08\x01",
        b"\n\x02\x10\x01",
        &good[..good.len() - 1],
    ] {
        let refused = decode(protobuf::decode, body.to_vec());
        assert!(
            matches!(refused, Err(DecodeError::Malformed(_))),
            "{body:?}"
        );
    }
}

#[test]
fn what_is_not_utf8_is_kept() {
    let line = b"\x12\x02a\xff";
    let pair = b"\x1a\x06\x0a\x01m\x12\x01\xfe";
    let entry = [&b"\x12\x0c"[..], line, pair].concat();
    let body = [&b"\n\x12\n\x02{}"[..], &entry].concat();
    let decoded = decode(protobuf::decode, body).unwrap();
    let record = &decoded.records[0];
    assert_eq!(record.body, "a\u{fffd}");
    let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
    let expected = [
        ("m".into(), bytes(b"\xfe")),
        ("log.record.original".into(), bytes(b"a\xff")),
    ];
    assert!(record.attributes.iter().eq(&expected), "{record:?}");
    let body = b"{\"streams\":[{\"values\":[[\"1\",\"a\xff\"]]}]}".to_vec();
    assert_eq!(
        decode(json::decode, body).unwrap().records[0].body,
        "a\u{fffd}"
    );
}

#[test]
fn only_the_content_type_says_that_a_body_is_json() {
    assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
    assert!(!is_json("application/x-protobuf") && !is_json("") && !is_json("application/jsonp"));
}

#[test]
fn an_empty_stream_keeps_its_labels_to_itself() {
    let streams: Vec<Stream> = vec![stream("{", []), stream(r#"{a="b"}"#, [entry("a", &[])])];
    for (decoder, write) in BOTH {
        let decoded = decode(decoder, write(&streams)).unwrap();
        assert_eq!((decoded.records.len(), decoded.rejected.len()), (1, 0));
    }
}

#[test]
fn an_entry_that_is_rejected_is_shown() {
    let body = br#"{"streams":[1,{"stream":{},"values":[["1","good"],["x","broken"]]}]}"#;
    let body = Bytes::from_static(body);
    let (decoded, _) = crate::fuzzing::measure(1 << 20, |meter| {
        super::json::decode(&body, None, 5, 100, meter)
    })
    .unwrap();
    let expected: [&[u8]; 2] = [b"1", br#"["x","broken"]"#];
    assert_eq!(crate::fuzzing::shown(&decoded), expected);
}
