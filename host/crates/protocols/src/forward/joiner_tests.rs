use rmpv::Value as Packed;
use sluice_types::record::{LogRecord, Text};

use super::joiner::{Joiner, Limits, Passed};
use super::sample::*;
use crate::memory_budget::{MemoryBudget, Reservation};

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    lines: 4,
};

fn joiner(limits: Limits, memory: usize) -> Joiner {
    Joiner::new(limits, MemoryBudget::new(memory).reserve())
}

/// A piece as Docker sends it.
fn piece(id: &str, ordinal: usize, is_last: bool, log: &[u8]) -> Packed {
    let log = match std::str::from_utf8(log) {
        Ok(log) => text(log),
        Err(_) => Packed::Binary(log.to_vec()),
    };
    map(&[
        ("source", text("stdout")),
        ("log", log),
        ("partial_message", text("true")),
        ("partial_id", text(id)),
        ("partial_ordinal", text(&ordinal.to_string())),
        ("partial_last", text(if is_last { "true" } else { "false" })),
    ])
}

fn pass(joiner: &mut Joiner, pieces: &[Packed], asks_ack: bool) -> Passed {
    let entries = pieces
        .iter()
        .map(|piece| array(vec![Packed::from(1), piece.clone()]));
    let message = array(vec![text("web"), array(entries.collect())]);
    joiner.pass(records(pack(&message)), asks_ack)
}

fn texts(passed: &Passed) -> Vec<&str> {
    bodies(&passed.decoded.records)
}

fn names(record: &LogRecord) -> Vec<&str> {
    attributes(record)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// The attributes of a piece that is not joined.
const PIECE: [&str; 6] = [
    "fluent.tag",
    "source",
    "partial_message",
    "partial_id",
    "partial_ordinal",
    "partial_last",
];

#[test]
fn the_pieces_of_a_line_become_one_record_when_the_last_one_arrives() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    for ordinal in 1..3 {
        let passed = pass(&mut joiner, &[piece("x", ordinal, false, b"ab")], false);
        assert!(texts(&passed).is_empty() && passed.reservation.is_none());
    }
    let passed = pass(&mut joiner, &[piece("x", 3, true, b"c")], false);
    assert_eq!(texts(&passed), ["ababc"]);
    let record = &passed.decoded.records[0];
    assert_eq!(names(record), ["fluent.tag", "source"]);
    assert_eq!(record.timestamp, 1_000_000_000);
    assert!(passed.reservation.unwrap().spent() >= record.size());
    assert!(joiner.is_empty());
}

#[test]
fn lines_between_pieces_pass_and_other_lines_have_pieces_of_their_own() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    let line = map(&[("log", text("line"))]);
    let message = [
        piece("x", 1, false, b"x1"),
        line,
        piece("y", 1, false, b"y1"),
        piece("x", 2, true, b"x2"),
    ];
    assert_eq!(texts(&pass(&mut joiner, &message, false)), ["line", "x1x2"]);
    let passed = pass(&mut joiner, &[piece("y", 2, true, b"y2")], false);
    assert_eq!(texts(&passed), ["y1y2"]);
}

#[test]
fn a_character_that_was_cut_is_whole_again() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    let character = "世".as_bytes();
    for (at, byte) in character.iter().enumerate() {
        let is_last = at == 2;
        let passed = pass(&mut joiner, &[piece("x", at + 1, is_last, &[*byte])], false);
        if is_last {
            assert_eq!(texts(&passed), ["世"]);
            assert_eq!(names(&passed.decoded.records[0]), ["fluent.tag", "source"]);
        }
    }
    let first = piece("x", 1, false, b"a\xff");
    let passed = pass(&mut joiner, &[first, piece("x", 2, true, b"b")], false);
    assert_eq!(texts(&passed), ["a\u{fffd}b"]);
    let (name, original) = *attributes(&passed.decoded.records[0]).last().unwrap();
    let expected = sluice_types::record::Value::Bytes(b"a\xffb"[..].into());
    assert_eq!((name, original), ("log.record.original", &expected));
}

#[test]
fn of_a_message_that_asks_for_an_ack_nothing_is_kept() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    // As Docker sends them: the next one only after the ack of the one before.
    for (ordinal, is_last) in [(1, false), (2, false), (3, true)] {
        let passed = pass(&mut joiner, &[piece("x", ordinal, is_last, b"ab")], true);
        assert_eq!(texts(&passed), ["ab"]);
        assert_eq!(names(&passed.decoded.records[0]), PIECE);
        assert!(joiner.is_empty());
    }
    // What is complete in itself is joined.
    let message = [
        piece("y", 1, false, b"y1"),
        piece("z", 1, false, b"z1"),
        piece("y", 2, true, b"y2"),
    ];
    assert_eq!(texts(&pass(&mut joiner, &message, true)), ["y1y2", "z1"]);
    assert!(joiner.is_empty());
}

#[test]
fn a_message_that_asks_for_an_ack_releases_only_lines_that_it_has_pieces_of() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    let first = [piece("x", 1, false, b"x1"), piece("y", 1, false, b"y1")];
    assert!(texts(&pass(&mut joiner, &first, false)).is_empty());
    let passed = pass(&mut joiner, &[piece("x", 2, false, b"x2")], true);
    assert_eq!(texts(&passed), ["x1", "x2"]);
    assert_eq!(joiner.len(), 1);
    let passed = pass(&mut joiner, &[piece("y", 2, true, b"y2")], true);
    assert_eq!(texts(&passed), ["y1y2"]);
}

#[test]
fn pieces_without_the_one_before_pass_as_they_are() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    assert_eq!(
        texts(&pass(&mut joiner, &[piece("x", 2, false, b"2")], false)),
        ["2"]
    );
    assert_eq!(
        texts(&pass(&mut joiner, &[piece("x", 3, true, b"3")], false)),
        ["3"]
    );
    // A gap.
    let message = [piece("x", 1, false, b"1"), piece("x", 3, true, b"3")];
    let passed = pass(&mut joiner, &message, false);
    assert_eq!(texts(&passed), ["1", "3"]);
    assert_eq!(names(&passed.decoded.records[0]), PIECE);
    // A repeated one.
    let message = [
        piece("x", 1, false, b"1"),
        piece("x", 1, false, b"1"),
        piece("x", 2, true, b"2"),
    ];
    assert_eq!(texts(&pass(&mut joiner, &message, false)), ["1", "12"]);
    assert!(joiner.is_empty());
}

#[test]
fn a_piece_that_does_not_say_everything_passes_as_it_is() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    // As Docker sent them before 19.03.
    let old = map(&[("log", text("a")), ("partial_message", text("true"))]);
    let no_piece = map(&[("log", text("b")), ("partial_message", text("false"))]);
    let strange = map(&[
        ("log", text("c")),
        ("partial_message", text("true")),
        ("partial_id", text("x")),
        ("partial_ordinal", text("first")),
    ]);
    let passed = pass(&mut joiner, &[old, no_piece, strange], false);
    assert_eq!(texts(&passed), ["a", "b", "c"]);
    // One that is the first and the last is whole.
    let passed = pass(&mut joiner, &[piece("x", 1, true, b"d")], false);
    assert_eq!(names(&passed.decoded.records[0]), ["fluent.tag", "source"]);
}

#[test]
fn what_never_becomes_complete_is_released() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    let message = [piece("x", 1, false, b"1"), piece("x", 2, false, b"2")];
    pass(&mut joiner, &message, false);
    assert!(texts(&joiner.release_idle(OBSERVED)).is_empty());
    let passed = joiner.release_idle(OBSERVED + 1);
    assert_eq!(texts(&passed), ["1", "2"]);
    assert!(passed.reservation.is_some());
    pass(&mut joiner, &[piece("y", 1, false, b"3")], false);
    assert_eq!(texts(&joiner.release_all()), ["3"]);
    assert!(joiner.is_empty());
    // What follows is not joined any more.
    let passed = pass(&mut joiner, &[piece("x", 3, true, b"3")], false);
    assert_eq!(texts(&passed), ["3"]);
}

#[test]
fn with_too_many_lines_the_one_that_grew_least_recently_is_released() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    for id in ["a", "b", "c", "d"] {
        assert!(
            texts(&pass(
                &mut joiner,
                &[piece(id, 1, false, id.as_bytes())],
                false
            ))
            .is_empty()
        );
    }
    assert!(texts(&pass(&mut joiner, &[piece("a", 2, false, b"a")], false)).is_empty());
    let passed = pass(&mut joiner, &[piece("e", 1, false, b"e")], false);
    assert_eq!(texts(&passed), ["b"]);
    assert_eq!(joiner.len(), LIMITS.lines);
}

#[test]
fn with_too_many_bytes_pieces_are_returned_as_they_are() {
    let mut joiner = joiner(LIMITS, 64 << 20);
    let large = vec![b'x'; 200 << 10];
    let mut passed = Vec::new();
    for ordinal in 1..10 {
        let piece = piece("long", ordinal, ordinal == 9, &large);
        let returned = pass(&mut joiner, &[piece], false);
        passed.extend(returned.decoded.records);
    }
    assert!(joiner.is_empty());
    assert_eq!(passed.len(), 9);
    assert!(passed.iter().all(|piece| piece.body.len() == large.len()));
    // Other lines make room first.
    assert!(texts(&pass(&mut joiner, &[piece("a", 1, false, b"a")], false)).is_empty());
    for ordinal in 1..3 {
        let piece = piece("b", ordinal, false, &large);
        assert!(texts(&pass(&mut joiner, &[piece], false)).is_empty());
    }
    let passed = pass(
        &mut joiner,
        &[piece("c", 1, false, &vec![b'c'; 300 << 10])],
        false,
    );
    assert_eq!(passed.decoded.records.len(), 3);
    assert_eq!(joiner.len(), 1);
}

#[test]
fn what_is_kept_is_charged_and_nothing_is_kept_without_memory() {
    let budget = MemoryBudget::new(100 << 10);
    let mut joiner = Joiner::new(LIMITS, budget.reserve());
    let large = vec![b'x'; 30 << 10];
    let mut other = budget.reserve();
    assert!(texts(&pass(&mut joiner, &[piece("x", 1, false, &large)], false)).is_empty());
    assert!(other.spend(70 << 10).is_err());
    let passed = pass(&mut joiner, &[piece("x", 2, false, &large)], false);
    assert_eq!(passed.decoded.records.len(), 2);
    assert!(other.spend(70 << 10).is_err());
    drop(passed);
    assert!(other.spend(70 << 10).is_ok());
}

#[test]
fn a_kept_piece_does_not_keep_its_message() {
    let mut joiner = joiner(LIMITS, 1 << 20);
    let message = array(vec![
        text("web"),
        Packed::from(1),
        piece("x", 1, false, b"short"),
    ]);
    let body = bytes::Bytes::from(pack(&message));
    let range = body.as_ptr_range();
    assert!(texts(&joiner.pass(records(body.clone()), false)).is_empty());
    let passed = joiner.release_all();
    for record in &passed.decoded.records {
        let texts = record
            .attributes
            .iter()
            .map(|(name, _)| name)
            .chain([&record.body]);
        let is_in_body = |text: &Text| range.contains(&text.as_bytes().as_ptr());
        assert!(!texts.into_iter().any(is_in_body));
    }
}

/// Random pieces: nothing is lost or repeated, whatever the limits are, and
/// everything is given back in the end.
#[test]
fn every_piece_is_returned_once() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let limits = Limits {
            bytes: rng.random_range(0..20_000),
            lines: rng.random_range(0..4),
        };
        let memory = rng.random_range(1..20_000);
        let budget = MemoryBudget::new(memory);
        let mut joiner = Joiner::new(limits, budget.reserve());
        let mut sent = String::new();
        let mut returned = String::new();
        let mut held: Vec<Reservation> = Vec::new();
        let mut collect = |passed: Passed| {
            bodies(&passed.decoded.records)
                .iter()
                .for_each(|body| returned.push_str(body));
            held.extend(passed.reservation);
        };
        for _ in 0..rng.random_range(1..40) {
            let pieces = (0..rng.random_range(1..4)).map(|_| {
                let id = ["a", "b", "c", "d", "e"][rng.random_range(0..5)];
                // Two characters, so that each piece can be recognised.
                let log = char::from_u32(0x4e00 + sent.chars().count() as u32).unwrap();
                sent.push(log);
                let ordinal = rng.random_range(1..4);
                piece(
                    id,
                    ordinal,
                    rng.random_bool(0.3),
                    log.to_string().as_bytes(),
                )
            });
            let pieces: Vec<_> = pieces.collect();
            let asks_ack = rng.random_bool(0.3);
            let before = joiner.len();
            collect(pass(&mut joiner, &pieces, asks_ack));
            assert!(joiner.len() <= limits.lines && (!asks_ack || joiner.len() <= before));
        }
        collect(joiner.release_all());
        let sorted = |text: &str| {
            let mut characters: Vec<_> = text.chars().collect();
            characters.sort_unstable();
            characters
        };
        assert_eq!(sorted(&returned), sorted(&sent), "seed {seed}");
        assert!(joiner.is_empty());
        drop((joiner, held));
        let all = budget.reserve().spend(memory);
        assert!(all.is_ok(), "seed {seed}");
    }
}
