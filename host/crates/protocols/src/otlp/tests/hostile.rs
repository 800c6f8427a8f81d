//! Requests that would take much memory or time.

use super::*;
use sluice_types::record::overhead;

/// A request of one record with these attributes and this body in both forms.
fn both(resource: Vec<KeyValue>, records: Vec<ProtoRecord>) -> [(Decoder, Bytes); 2] {
    let request = request(resource, InstrumentationScope::default(), records);
    let json = json_form::plain(&request);
    [
        (BOTH[0], request.encode_to_vec().into()),
        (BOTH[1], json.into()),
    ]
}

fn numbered(count: usize) -> Vec<KeyValue> {
    let one = |n: usize| key_value(&format!("k{n}"), text("v"));
    (0..count).map(one).collect()
}

fn with_attributes(attributes: Vec<KeyValue>) -> ProtoRecord {
    ProtoRecord {
        attributes,
        ..ProtoRecord::default()
    }
}

#[test]
fn records_and_what_they_share_are_charged_before_they_are_kept() {
    let records = vec![with_attributes(numbered(3)); 1000];
    for (decoder, body) in both(numbered(100), records) {
        let (decoded, reservation) = decode(decoder, MEMORY, body.clone()).unwrap();
        let spent = reservation.spent();
        // The 100 are counted once.
        let shared = 100 * 128;
        assert!(spent > 1000 * overhead(3) + shared, "{spent}");
        assert!(spent < 1000 * overhead(3) + 3 * shared, "{spent}");
        assert!(decode(decoder, spent, body.clone()).is_ok());
        let stopped = decode(decoder, 1000 * overhead(3) + shared - 1, body);
        assert!(matches!(stopped, Err(DecodeError::Stopped(_))));
        assert_eq!(decoded.records[0].attributes.own_len(), 3);
    }
}

#[test]
fn no_more_records_are_decoded_than_may_wait() {
    for (decoder, body) in both(Vec::new(), vec![ProtoRecord::default(); 11]) {
        for (most, is_ok) in [(11, true), (10, false)] {
            let reservation = MemoryBudget::new(MEMORY).reserve();
            let meter = Meter::new(reservation, Client::default());
            let decoded = meter.measure(|meter| decoder(&body, OBSERVED, most, meter));
            assert_eq!(decoded.is_ok(), is_ok);
        }
    }
}

#[test]
fn copied_texts_are_charged() {
    let control = "\u{1}".repeat(100_000);
    let body = |value| ProtoRecord {
        body: Some(value),
        ..ProtoRecord::default()
    };
    let array = |value| {
        any(Any::ArrayValue(ArrayValue {
            values: vec![value],
        }))
    };
    for (records, charged) in [
        (vec![body(array(text(&control)))], 600_000),
        (vec![body(any(Any::BytesValue(vec![0; 90_000])))], 120_000),
        (
            vec![body(array(any(Any::BytesValue(vec![0; 90_000]))))],
            120_000,
        ),
    ] {
        for (decoder, body) in both(Vec::new(), records.clone()) {
            let (_, reservation) = decode(decoder, MEMORY, body.clone()).unwrap();
            assert!(reservation.spent() > charged, "{}", reservation.spent());
            let stopped = decode(decoder, charged, body);
            assert!(matches!(stopped, Err(DecodeError::Stopped(_))));
        }
    }
    for (decoder, body) in both(vec![key_value("k", text(&control))], vec![body(text(""))]) {
        let (_, reservation) = decode(decoder, MEMORY, body).unwrap();
        assert!(reservation.spent() > 100_000);
    }
    let ids = ProtoRecord {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        ..ProtoRecord::default()
    };
    for (decoder, body) in both(Vec::new(), vec![ids; 100]) {
        let (_, reservation) = decode(decoder, MEMORY, body).unwrap();
        assert!(reservation.spent() >= 100 * (overhead(2) + 48));
    }
}

#[test]
fn joined_and_replaced_texts_are_charged() {
    let half = field(1, [0xff; 50_000]);
    let unread = field(9, [0; 50_000]);
    for (fields, charged) in [
        // Wrong bytes become three each.
        (field(5, &half), 150_000),
        (field(6, field(1, [0xff; 50_000])), 150_000),
        (field(5, field(5, field(1, &half))), 300_000),
        ([field(5, &unread), field(5, &unread)].concat(), 20_000),
    ] {
        let body = request_of(&[&fields]);
        let (_, reservation) = decode(BOTH[0], MEMORY, body.clone()).unwrap();
        assert!(reservation.spent() > charged, "{}", reservation.spent());
        let stopped = decode(BOTH[0], charged, body);
        assert!(matches!(stopped, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn a_record_has_at_most_1024_attributes_with_those_it_shares() {
    for (shared, own, is_ok) in [
        (0, 1024, true),
        (0, 1025, false),
        (1024, 0, true),
        (1025, 0, false),
        (24, 1000, true),
        (25, 1000, false),
        (0, 30_000, false),
        (30_000, 0, false),
    ] {
        let records = vec![with_attributes(numbered(own)), ProtoRecord::default()];
        for (decoder, body) in both(numbered(shared), records) {
            let (decoded, _) = decode(decoder, MEMORY, body).unwrap();
            let expected = match (is_ok, shared) {
                (true, _) => 2,
                (false, ..=1024) => 1,
                (false, _) => 0,
            };
            assert_eq!(decoded.records.len(), expected, "{shared} {own}");
            for reason in reasons(decoded.rejected) {
                assert!(reason.contains("more than 1024 attributes"), "{reason}");
            }
        }
    }
}

#[test]
fn values_are_nested_32_levels_deep_at_most() {
    for is_list in [false, true] {
        // A text in 31 arrays is on level 32.
        for (levels, is_ok) in [(31, true), (32, false), (33, false)] {
            let deep = nested(levels, is_list);
            let in_body = ProtoRecord {
                body: Some(deep.clone()),
                ..ProtoRecord::default()
            };
            let in_attribute = with_attributes(vec![key_value("k", deep)]);
            for record in [in_body, in_attribute] {
                for (decoder, body) in both(Vec::new(), vec![record.clone()]) {
                    let (decoded, _) = decode(decoder, MEMORY, body).unwrap();
                    assert_eq!(decoded.records.len(), usize::from(is_ok));
                    for reason in reasons(decoded.rejected) {
                        assert!(reason.contains("nested deeper than 32"), "{reason}");
                    }
                }
            }
        }
    }
}

#[test]
fn however_deep_a_value_is_nested_the_stack_is_not() {
    let mut value = field(1, "x");
    let mut prefixes = Vec::new();
    // From the inside out, each length needs that of what it holds.
    let mut length = value.len();
    for _ in 0..20_000 {
        for tag in [0x0a, 0x2a] {
            let mut prefix = vec![tag];
            prost::encoding::encode_varint(length as u64, &mut prefix);
            length += prefix.len();
            prefixes.push(prefix);
        }
    }
    let mut deep: Vec<u8> = prefixes.into_iter().rev().flatten().collect();
    deep.append(&mut value);
    let (decoded, _) = decode(BOTH[0], MEMORY, request_of(&[&field(5, deep)])).unwrap();
    assert!(reasons(decoded.rejected)[0].contains("nested deeper"));

    let open = r#"{"arrayValue":{"values":["#.repeat(20_000);
    let close = "]}}".repeat(20_000);
    let body = json_of(&[&format!("\"body\":{open}{close}")]);
    let (decoded, _) = decode(BOTH[1], MEMORY, body).unwrap();
    assert!(reasons(decoded.rejected)[0].contains("nested deeper"));
    for body in ["[".repeat(1 << 20), r#"{"resourceLogs":"#.repeat(1 << 18)] {
        let body = format!(r#"{{"resourceLogs":[{{"resource":{body}"#);
        assert!(decode(BOTH[1], MEMORY, body).is_err());
    }
}

#[test]
fn many_scopes_of_a_large_resource_take_no_more_memory_than_there_is() {
    let scope = field(2, [field(1, field(1, "n")), field(2, b"")].concat());
    let attribute = |n: usize| field(1, field(1, format!("k{n}")));
    let resource = field(1, (0..1000).map(attribute).collect::<Vec<_>>().concat());
    let body = Bytes::from(field(1, [resource.clone(), scope.repeat(10_000)].concat()));
    let stopped = decode(BOTH[0], MEMORY, body);
    assert!(matches!(stopped, Err(DecodeError::Stopped(_))));
    // Scopes that say nothing share one list.
    let scope = field(2, field(2, b""));
    let body = Bytes::from(field(1, [resource, scope.repeat(10_000)].concat()));
    let (decoded, reservation) = decode(BOTH[0], MEMORY, body).unwrap();
    assert_eq!(decoded.records.len(), 10_000);
    assert!(reservation.spent() < 10_000 * overhead(0) + 1000 * 200);
}

#[test]
fn a_large_hostile_request_takes_linear_time() {
    let own = (0..1000).map(|n| field(6, field(1, format!("resource.k{n}"))));
    let record = field(2, own.collect::<Vec<_>>().concat());
    let shared = (0..24).map(|n| field(1, field(1, format!("j{n}"))));
    let resource = field(1, shared.collect::<Vec<_>>().concat());
    let scope = field(2, record.repeat(300));
    let begin = std::time::Instant::now();
    let (decoded, _) = decode(BOTH[0], MEMORY, field(1, [resource, scope].concat())).unwrap();
    assert_eq!(decoded.records.len(), 300);
    let mut pieces = Vec::new();
    for _ in 0..500_000 {
        pieces.extend_from_slice(b"\x2a\x02\x2a\x00");
    }
    let joined = record_of_pieces(&pieces);
    assert_eq!(joined.len(), 1);
    // It takes far less; comparing each with each would take minutes.
    assert!(begin.elapsed().as_secs() < 20);
}

fn record_of_pieces(pieces: &[u8]) -> Vec<LogRecord> {
    records(BOTH[0], request_of(&[pieces]))
}
