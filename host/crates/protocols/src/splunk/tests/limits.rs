//! What a body can cost.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{MEMORY, bodies, decode, events, malformed, one, rejections};
use crate::error::DecodeError;
use crate::splunk::{event, raw};
use sluice_types::record::overhead;

#[test]
fn more_than_may_wait_is_not_even_decoded() {
    let body = Bytes::from("{\"event\":\"a\"}".repeat(11));
    let decode = |most| decode(MEMORY, |meter| event::decode(&body, 1, most, meter));
    assert_eq!(decode(11).unwrap().0.records.len(), 11);
    assert!(matches!(decode(10), Err(DecodeError::Stopped(_))));
}

#[test]
fn everything_is_charged_before_it_is_allocated() {
    let escaped = format!("{{\"event\":{{\"k\":\"{}\"}}}}", "\\t".repeat(10_000));
    for (body, least) in [
        (
            "{\"event\":{\"a\":1,\"b\":2}}".repeat(1000),
            1000 * overhead(2),
        ),
        ("{\"event\":\"x\"}{}".repeat(500), 500 * (overhead(0) + 96)),
        (escaped, overhead(1) + 20_000),
    ] {
        let body = Bytes::from(body);
        let decode = |memory| decode(memory, |meter| event::decode(&body, 1, 1000, meter));
        let (_, reservation) = decode(MEMORY).unwrap();
        let spent = reservation.spent();
        assert!(spent >= least, "{spent}");
        assert!(decode(spent).is_ok());
        assert!(matches!(decode(spent - 1), Err(DecodeError::Stopped(_))));
    }
    let body = Bytes::from("a\n".repeat(1000));
    let query = format!("source={}", "s".repeat(1000));
    let decode = |memory| decode(memory, |meter| raw::decode(&body, &query, 1, 1000, meter));
    let (_, reservation) = decode(MEMORY).unwrap();
    assert!(reservation.spent() >= 1000 * overhead(0) + 1128);
    assert!(matches!(decode(1000), Err(DecodeError::Stopped(_))));
}

#[test]
fn an_event_with_too_many_attributes_is_refused_without_collecting_them() {
    let many = ",\"k\":1".repeat(300_000);
    for wide in [
        format!("{{\"event\":{{\"msg\":\"x\"{many}}}}}"),
        format!("{{\"event\":\"x\",\"fields\":{{\"a\":1{many}}}}}"),
        format!("{{\"event\":\"x\"{many}}}"),
    ] {
        let body = Bytes::from(format!("{{\"event\":\"a\"}}{wide}{{\"event\":\"b\"}}"));
        let decoded = decode(1 << 20, |meter| event::decode(&body, 1, 10, meter))
            .unwrap()
            .0;
        assert_eq!(bodies(&decoded), ["a", "b"]);
        assert!(
            rejections(decoded)[0]
                .1
                .starts_with("more than 1024 attributes")
        );
    }
    let distinct = |count: usize| {
        let fields: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        format!(
            "{{\"host\":\"h\",\"event\":{{\"msg\":\"m\",{}}}}}",
            fields.join(",")
        )
    };
    assert_eq!(one(distinct(1023)).attributes.len(), 1024);
    assert!(malformed(events(distinct(1024))).starts_with("more than 1024"));
}

#[test]
fn hostile_bodies_take_no_more_time_than_their_length() {
    let start = Instant::now();
    for body in [
        "{\"event\":\"\"}".repeat(100_000),
        "1 ".repeat(1 << 20),
        "[".repeat(1 << 22),
        "{\"event\":".repeat(1 << 20),
        format!("{{\"event\":\"{}", "\\\"".repeat(1 << 22)),
        "[]".repeat(1 << 22),
    ] {
        let body = Bytes::from(body);
        // The result does not matter.
        drop(decode(MEMORY, |meter| {
            event::decode(&body, 1, 100_000, meter)
        }));
    }
    // If the work was quadratic, each of them would take minutes.
    assert!(start.elapsed() < Duration::from_secs(30));
}
