use bytes::Bytes;
use rmpv::Value as Packed;
use sluice_types::record::{Severity, Value};

use super::chunk::CHUNK_BYTES_MAX;
use super::fault::DEPTH_MAX;
use super::message::{Content, Limits, Records};
use super::sample::*;
use crate::error::DecodeError;

/// As Docker sent it with `fluentd-request-ack`; the id of the container is
/// shortened.
const DOCKER: &[u8] = b"\x94\xaccd1cba682f79\xcek\x01p\x87\
    \x84\xa6source\xa6stdout\xa3log\xa5hello\xaccontainer_id\xb0cd1cba682f79322d\
    \xaecontainer_name\xa4/web\
    \x81\xa5chunk\xb8h3ABawAAAAAiZxt/MZeAGA==";

/// As Fluent Bit sent it with `require_ack_response`, with two of three entries.
const FLUENT_BIT: &[u8] = b"\x93\xa7app.web\
    \x92\
    \x92\x92\xd7\0k\x01o;\x2c\x9bM{\x81\xa1k\xa1v\x83\xa7message\xa5hello\xa5level\xa4info\xa1n\x07\
    \x92\x92\xd7\0k\x01o;\x2d\"f\x87\x81\xa1k\xa1v\x83\xa7message\xa5hello\xa5level\xa4info\xa1n\x07\
    \x83\xa5chunk\xb80x766WaG7Dqls0gbvuJOlw==\xa4size\x03\xadfluent_signal\x00";

/// As the client for Python sent it.
const PYTHON: &[u8] = b"\x93\xa7app.web\xd7\0k\x01o\xea }\xab\x12\
    \x83\xa7message\xa5hello\xa1n\x07\xa6nested\x81\xa1a\x94\x01\xcb\x40\x04\0\0\0\0\0\0\xc0\xc3";

/// As the client for Node.js sent it: `size` counts bytes there.
const NODE: &[u8] = b"\x93\xa7app.web\
    \xc4\x2b\x92\xcek\x01o\xf4\x82\xa7message\xa5hello\xa1n\x07\x92\xcek\x01o\xf4\x81\xa7message\xa3two\
    \x84\xa5chunk\xb8nWebznL0D5F8e2s8EvywGQ==\xa4size\x2b\xaacompressed\xa4text\
    \xb2eventEntryDataSize\x2b";

#[test]
fn docker_sends_one_record_a_message() {
    let message = decode(DOCKER).unwrap();
    let chunk = message.chunk.unwrap();
    assert_eq!(chunk.id(), b"h3ABawAAAAAiZxt/MZeAGA==");
    let Content::Records(Records { decoded, .. }) = message.content else {
        panic!("no records")
    };
    let record = &decoded.records[0];
    assert_eq!(&*record.body, "hello");
    assert_eq!(record.timestamp, 1_795_256_455_000_000_000);
    assert_eq!(record.key.as_deref(), Some("h3ABawAAAAAiZxt/MZeAGA==:0"));
    let expected = [
        tag("cd1cba682f79"),
        ("source", Value::Text("stdout".into())),
        ("container.id", Value::Text("cd1cba682f79322d".into())),
        ("container.name", Value::Text("web".into())),
    ];
    assert_eq!(owned(attributes(record)), expected);
}

#[test]
fn fluent_bit_sends_entries_with_metadata() {
    let Records { decoded, .. } = records(FLUENT_BIT);
    assert_eq!(bodies(&decoded.records), ["hello", "hello"]);
    let [first, second] = &decoded.records[..] else {
        panic!("not two records")
    };
    assert_eq!(first.timestamp, 1_795_256_123_748_375_419);
    assert_eq!(second.timestamp, 1_795_256_123_757_229_191);
    assert_eq!(first.severity, Severity::Info);
    assert_eq!(first.key.as_deref(), Some("0x766WaG7Dqls0gbvuJOlw==:0"));
    assert_eq!(second.key.as_deref(), Some("0x766WaG7Dqls0gbvuJOlw==:1"));
    let expected = [
        tag("app.web"),
        ("n", Value::Integer(7)),
        ("fluent.metadata", Value::Json(r#"{"k":"v"}"#.into())),
    ];
    assert_eq!(owned(attributes(first)), expected);
}

#[test]
fn the_clients_for_python_and_node_are_read() {
    let Records { decoded, .. } = records(PYTHON);
    let record = &decoded.records[0];
    assert_eq!(&*record.body, "hello");
    assert_eq!(
        (record.timestamp, record.key.as_ref()),
        (1_795_256_298_545_106_706, None)
    );
    let expected = [
        tag("app.web"),
        ("n", Value::Integer(7)),
        ("nested", Value::Json(r#"{"a":[1,2.5,null,true]}"#.into())),
    ];
    assert_eq!(owned(attributes(record)), expected);
    let Records { decoded, .. } = records(NODE);
    assert_eq!(bodies(&decoded.records), ["hello", "two"]);
    assert_eq!(
        decoded.records[1].key.as_deref(),
        Some("nWebznL0D5F8e2s8EvywGQ==:1")
    );
}

#[test]
fn every_mode_has_the_same_records() {
    let both = [entry("a"), entry("b")];
    let plain = entries(&both);
    let members = [
        gzip(&plain[..plain.len() / 2]),
        gzip(&plain[plain.len() / 2..]),
    ]
    .concat();
    let frames = [
        zstd::encode_all(&*pack(&both[0]), 1).unwrap(),
        zstd::encode_all(&*pack(&both[1]), 1).unwrap(),
    ];
    let as_text = |entries: &[u8]| {
        // A text that is no UTF-8, as Fluentd sends it.
        let mut message = b"\x92\xa7app.web\xdb".to_vec();
        message.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
        message.extend(entries);
        Bytes::from(message)
    };
    let forward = array(vec![text("app.web"), array(both.to_vec())]);
    let compressed = |name| [("compressed", text(name))];
    for body in [
        Bytes::from(pack(&forward)),
        packed(&plain, &[]),
        as_text(&plain),
        packed(&gzip(&plain), &compressed("gzip")),
        packed(&members, &compressed("gzip")),
        as_text(&members),
        packed(&frames.concat(), &compressed("zstd")),
        // The bytes count, and not the option.
        packed(&gzip(&plain), &compressed("text")),
        packed(&plain, &compressed("gzip")),
    ] {
        let Records { decoded, .. } = records(body);
        assert_eq!(bodies(&decoded.records), ["a", "b"]);
        assert_eq!(decoded.rejected.len(), 0);
        let expected = [tag("app.web")];
        assert_eq!(owned(attributes(&decoded.records[1])), expected);
    }
}

#[test]
fn keepalives_other_signals_and_pings_are_told_apart() {
    let record = map(&[("log", text("l"))]);
    let keepalive = |tag| pack(&array(vec![tag, Packed::from(1), record.clone()]));
    for body in [vec![0xc0], keepalive(Packed::Nil), keepalive(text(""))] {
        let content = decode(body).unwrap().content;
        assert!(matches!(content, Content::Keepalive), "{content:?}");
    }
    for (signal, name) in [(1, "metrics"), (2, "traces")] {
        let option = [
            ("fluent_signal", Packed::from(signal)),
            ("chunk", text("c")),
        ];
        let message = decode(packed(b"\xc1 whatever", &option)).unwrap();
        assert_eq!(message.chunk.unwrap().ack(), b"\x81\xa3ack\xa1c");
        let Content::Dropped(dropped) = message.content else {
            panic!("not dropped")
        };
        assert_eq!(dropped, name);
    }
    let ping = ["PING", "host", "salt", "digest", "", ""]
        .map(text)
        .to_vec();
    let content = decode(pack(&array(ping))).unwrap().content;
    assert!(matches!(content, Content::Ping), "{content:?}");
    // A tag can have this name.
    let message = array(vec![text("PING"), Packed::from(1), record]);
    assert_eq!(records(pack(&message)).decoded.records.len(), 1);
}

#[test]
fn what_is_no_message_is_malformed() {
    for body in [
        &b""[..],
        b"\x07",
        b"\x80",
        b"\x93\xa1t\x01",
        b"\x93\xa1t\x01\xc1",
        b"\x93\xa1t\x01\x80\x00",
        b"\xc0\x00",
    ] {
        let error = decode(Bytes::from_static(body)).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed(_)), "{body:x?}");
    }
    let long = Packed::from("x".repeat(CHUNK_BYTES_MAX + 1));
    let error = decode(packed(b"", &[("chunk", long)])).unwrap_err();
    assert!(error.to_string().contains("257 bytes"), "{error}");
}

#[test]
fn a_message_that_says_nothing_is_rejected_and_can_be_acknowledged() {
    for (message, reason) in [
        (
            array(vec![
                Packed::from(7),
                array(vec![]),
                map(&[("chunk", text("c"))]),
            ]),
            "tag",
        ),
        (
            array(vec![
                text("t"),
                Packed::from(true),
                Packed::from(1),
                map(&[("chunk", text("c"))]),
            ]),
            "time",
        ),
        (
            array(vec![
                text("t"),
                Packed::from(1),
                Packed::from(1),
                map(&[("chunk", text("c"))]),
            ]),
            "",
        ),
    ] {
        let message = decode(pack(&message)).unwrap();
        assert!(message.chunk.is_some());
        let Content::Records(records) = message.content else {
            panic!("no records")
        };
        let rejected = reasons(records);
        assert_eq!(rejected.is_empty(), reason.is_empty());
        assert!(
            rejected.iter().all(|(_, found)| found.contains(reason)),
            "{rejected:?}"
        );
    }
    let no_record = reasons(records(&b"\x92\xa1t\x01"[..]));
    assert!(no_record[0].1.contains("no record"), "{no_record:?}");
}

#[test]
fn a_bad_entry_is_rejected_alone() {
    let deep = (0..=DEPTH_MAX).fold(Packed::Nil, |inner, _| array(vec![inner]));
    let bad = [
        Packed::from(7),
        array(vec![Packed::from(-1), map(&[])]),
        array(vec![
            Packed::from(1),
            map(&[("log", text("")), ("deep", deep)]),
        ]),
        array(vec![
            Packed::from(1),
            Packed::Map(vec![(array(vec![]), Packed::Nil)]),
        ]),
        array(vec![Packed::from(1)]),
    ];
    let all: Vec<_> = bad
        .iter()
        .flat_map(|bad| [bad.clone(), entry("good")])
        .collect();
    let forward = pack(&array(vec![text("t"), array(all.clone())]));
    for body in [Bytes::from(forward), packed(&entries(&all), &[])] {
        let records = records(body);
        assert_eq!(bodies(&records.decoded.records), ["good"; 5]);
        let reasons = reasons(records);
        let places: Vec<_> = reasons.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [0, 2, 4, 6, 8]);
        for ((_, reason), expected) in reasons.iter().zip([
            "no array",
            "time",
            "\"deep\": nested more than 32",
            "key",
            "no array",
        ]) {
            assert!(reason.contains(expected), "{reason}");
        }
    }
}

#[test]
fn entries_that_end_too_early_are_kept_up_to_there() {
    let whole = entries(&[entry("a"), entry("b")]);
    let first = pack(&entry("a")).len();
    for end in first + 1..whole.len() {
        let records = records(packed(&whole[..end], &[]));
        assert_eq!(bodies(&records.decoded.records), ["a"]);
        let reasons = reasons(records);
        assert_eq!(reasons.len(), 1);
        assert!(reasons[0].1.contains("its end is missing"), "{reasons:?}");
    }
}

#[test]
fn entries_that_cannot_be_unpacked_are_one_rejection() {
    let packed_entries = gzip(&entries(&[entry("a")]));
    let cut = &packed_entries[..packed_entries.len() - 3];
    let message = decode(packed(cut, &[("chunk", text("c"))])).unwrap();
    assert!(message.chunk.is_some());
    let Content::Records(records) = message.content else {
        panic!("no records")
    };
    let reasons = reasons(records);
    assert!(reasons[0].1.contains("gzip"), "{reasons:?}");

    let large = gzip(&vec![0xc0; 1 << 20]);
    let limits = Limits {
        unpacked: 1 << 19,
        ..LIMITS
    };
    let (message, reservation) = decode_with(64 << 20, limits, &packed(&large, &[])).unwrap();
    let Content::Records(records) = message.content else {
        panic!("no records")
    };
    assert!(
        super::sample::reasons(records)[0]
            .1
            .contains("524288 bytes")
    );
    assert!(reservation.spent() <= 1 << 20);
}
