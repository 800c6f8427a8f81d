use rmpv::Value as Packed;
use sluice_types::record::overhead;

use super::fault::DEPTH_MAX;
use super::message::{Content, Limits};
use super::sample::*;
use crate::error::DecodeError;
use crate::rejected::{EXAMPLES_MAX, EXCERPT_BYTES};

#[test]
fn every_record_attribute_and_copy_is_charged() {
    let nested = map(&[("k", array(vec![Packed::from(1); 100]))]);
    let record = map(&[("log", text("l")), ("a", Packed::from(1)), ("n", nested)]);
    let entries = entries(&vec![array(vec![Packed::from(1), record]); 1000]);
    let json = r#"{"k":[]}"#.len() + 199;
    for (body, charged) in [
        (packed(&entries, &[]), 1000 * (overhead(2) + json)),
        (
            packed(&entries, &[("chunk", text("0123456789"))]),
            1000 * (overhead(2) + json + 12),
        ),
        (
            packed(&gzip(&entries), &[]),
            1000 * (overhead(2) + json) + entries.len(),
        ),
        (packed(&vec![0x07; 1000], &[]), 1000 * (96 + 39)),
        (
            packed(&b"\x92\x00\x81\x00\x00".repeat(1000), &[]),
            1000 * (overhead(1) + 8),
        ),
    ] {
        let (_, reservation) = decode_with(64 << 20, LIMITS, &body).unwrap();
        let spent = reservation.spent();
        assert!(
            spent >= charged && spent < charged + charged / 4,
            "{spent} {charged}"
        );
        let refused = decode_with(charged - 1, LIMITS, &body);
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn more_than_may_wait_is_not_even_decoded() {
    for body in [
        packed(&entries(&vec![entry("a"); 11]), &[]),
        packed(&[0x07; 11], &[]),
        pack(&array(vec![text("t"), array(vec![entry("a"); 11])])).into(),
    ] {
        let limits = |records| Limits { records, ..LIMITS };
        assert!(decode_with(64 << 20, limits(11), &body).is_ok());
        let refused = decode_with(64 << 20, limits(10), &body);
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn a_large_message_of_little_is_stopped_by_the_memory() {
    let nils = vec![0xc0; 16 << 20];
    let maps = b"\x92\xc0\x80".repeat(5 << 20);
    for body in [packed(&nils, &[]), packed(&maps, &[])] {
        let limits = Limits {
            records: usize::MAX,
            ..LIMITS
        };
        let refused = decode_with(4 << 20, limits, &body);
        assert!(matches!(refused, Err(DecodeError::Stopped(_))));
    }
}

#[test]
fn a_rejected_record_with_much_json_gives_its_memory_back() {
    let wide = array(vec![Packed::from(7); 100_000]);
    let deep = (0..=DEPTH_MAX).fold(Packed::Nil, |inner, _| array(vec![inner]));
    let bad = array(vec![
        Packed::from(1),
        map(&[("wide", wide), ("deep", deep)]),
    ]);
    let entries = entries(&vec![bad; 50]);
    let (_, reservation) = decode_with(2 << 20, LIMITS, &packed(&entries, &[])).unwrap();
    let most = 50 * 400 + EXAMPLES_MAX * EXCERPT_BYTES;
    assert!(reservation.spent() < most, "{}", reservation.spent());
}

#[test]
fn reasons_never_repeat_a_long_input() {
    let long = "\u{1}x".repeat(1 << 20);
    let deep = (0..=DEPTH_MAX).fold(Packed::Nil, |inner, _| array(vec![inner]));
    for record in [
        array(vec![text(&long), map(&[])]),
        array(vec![Packed::from(1), map(&[(&long, deep)])]),
        text(&long),
    ] {
        let reasons = reasons(records(packed(&pack(&record), &[])));
        assert!(reasons[0].1.chars().count() <= 200, "{}", reasons[0].1);
    }
}

#[test]
fn one_short_record_among_rejected_ones_keeps_no_large_body() {
    let mut all = vec![0x07; 10_000];
    all.extend(pack(&entry("short")));
    let body = packed(&all, &[]);
    let range = body.as_ptr_range();
    let (message, _) = decode_with(64 << 20, LIMITS, &body).unwrap();
    let Content::Records(records) = message.content else {
        panic!("no records")
    };
    let record = &records.decoded.records[0];
    assert_eq!(&*record.body, "short");
    assert!(!range.contains(&record.body.as_bytes().as_ptr()));
}

#[test]
fn an_entry_that_is_rejected_is_shown_without_its_neighbours() {
    let broken = pack(&array(vec![text("noon"), text("a record")]));
    let mut entries = entries(&[entry("one"), Packed::from(7)]);
    entries.extend(&broken);
    entries.extend(pack(&entry("two")));
    entries.push(0xc1);
    let records = records(packed(&entries, &[]));
    let expected: [&[u8]; 3] = [b"\x07", &broken, b"\xc1"];
    assert_eq!(crate::fuzzing::shown(&records.decoded), expected);
    assert_eq!(records.decoded.records.len(), 2);
}
