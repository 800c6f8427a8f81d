//! Which messages are put together, and which are dropped.

use super::*;
use crate::gelf::datagram::{Datagram, classify};

const LIMITS: Limits = Limits {
    all: 1 << 20,
    message: 100_000,
};

fn source(address: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, address], 5000))
}

fn chunk(id: u8, index: u8, count: u8, payload: &[u8]) -> Chunk<'_> {
    Chunk {
        id: [id; 8],
        index,
        count,
        payload,
    }
}

/// The parts of a message as Docker sends it: up to 1,420 bytes, 12 of them head.
fn datagrams(message: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = message.chunks(1408).collect();
    let count = u8::try_from(parts.len()).unwrap();
    let numbered = (0_u8..).zip(parts);
    let datagram = |(index, part): (u8, &[u8])| {
        [
            &b"\x1e\x0f\xccC\xf00\x9c\xdfI\xed"[..],
            &[index, count],
            part,
        ]
        .concat()
    };
    numbered.map(datagram).collect()
}

#[test]
fn a_message_is_whole_when_its_last_part_comes_in_any_order() {
    let message: Vec<u8> = (0..12_000_u32).map(|n| (n % 251) as u8).collect();
    let datagrams = datagrams(&message);
    assert_eq!(datagrams.len(), 9);
    let mut chunks = Chunks::new(LIMITS);
    let now = Instant::now();
    for order in [[0, 1, 2, 3, 4, 5, 6, 7, 8], [8, 3, 0, 1, 7, 5, 2, 4, 6]] {
        for (count, place) in (1..).zip(order) {
            let Ok(Datagram::Chunk(chunk)) = classify(&datagrams[place]) else {
                panic!("no chunk")
            };
            let added = chunks.add(source(1), chunk, now).unwrap();
            match count {
                9 => assert_eq!(added.unwrap(), message),
                _ => assert_eq!((added, chunks.add(source(1), chunk, now)), (None, Ok(None))),
            }
        }
        assert_eq!((chunks.bytes(), chunks.dropped()), (0, 0));
    }
    assert!(chunks.messages.is_empty() && chunks.order.is_empty() && chunks.held.is_empty());
}

#[test]
fn a_message_has_up_to_128_parts_and_may_have_one() {
    let mut chunks = Chunks::new(LIMITS);
    let now = Instant::now();
    let whole = chunks.add(source(1), chunk(1, 0, 1, b"whole"), now);
    assert_eq!(whole, Ok(Some(Bytes::from_static(b"whole"))));
    for index in 0..127 {
        assert_eq!(
            chunks.add(source(1), chunk(1, index, 128, &[index]), now),
            Ok(None)
        );
    }
    let whole = chunks.add(source(1), chunk(1, 127, 128, &[127]), now);
    assert_eq!(whole.unwrap().unwrap(), (0..128).collect::<Vec<u8>>());
}

#[test]
fn the_same_id_from_another_source_is_another_message() {
    let mut chunks = Chunks::new(LIMITS);
    let now = Instant::now();
    assert_eq!(chunks.add(source(1), chunk(1, 0, 2, b"a"), now), Ok(None));
    assert_eq!(chunks.add(source(2), chunk(1, 1, 2, b"d"), now), Ok(None));
    let first = chunks.add(source(1), chunk(1, 1, 2, b"b"), now);
    assert_eq!(first, Ok(Some(Bytes::from_static(b"ab"))));
    let other = chunks.add(source(2), chunk(1, 0, 2, b"c"), now);
    assert_eq!(other, Ok(Some(Bytes::from_static(b"cd"))));
}

#[test]
fn a_message_is_waited_for_five_seconds_from_its_first_part() {
    let mut chunks = Chunks::new(LIMITS);
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    assert_eq!(chunks.add(source(1), chunk(1, 0, 3, b"a"), at(0)), Ok(None));
    assert_eq!(
        chunks.add(source(1), chunk(2, 0, 2, b"x"), at(4000)),
        Ok(None)
    );
    assert_eq!(
        chunks.add(source(1), chunk(1, 1, 3, b"b"), at(4999)),
        Ok(None)
    );
    assert_eq!(chunks.dropped(), 0);
    // Too late: this is the first part of a message that is never whole.
    assert_eq!(
        chunks.add(source(1), chunk(1, 2, 3, b"c"), at(5000)),
        Ok(None)
    );
    assert_eq!(chunks.dropped(), 1);
    let younger = chunks.add(source(1), chunk(2, 1, 2, b"y"), at(8999));
    assert_eq!(younger, Ok(Some(Bytes::from_static(b"xy"))));
    chunks.expire(at(10_000));
    assert_eq!((chunks.bytes(), chunks.dropped()), (0, 2));
}

#[test]
fn parts_that_do_not_fit_together_drop_their_message() {
    let mut chunks = Chunks::new(LIMITS);
    let now = Instant::now();
    assert_eq!(chunks.add(source(1), chunk(1, 0, 3, b"a"), now), Ok(None));
    assert!(chunks.add(source(1), chunk(1, 1, 2, b"b"), now).is_err());
    assert_eq!((chunks.bytes(), chunks.dropped()), (0, 1));
    let large = vec![0; LIMITS.message / 2 + 1];
    assert_eq!(chunks.add(source(1), chunk(1, 0, 2, &large), now), Ok(None));
    assert!(chunks.add(source(1), chunk(1, 1, 2, &large), now).is_err());
    assert!(
        chunks
            .add(source(1), chunk(1, 0, 1, &large.repeat(2)), now)
            .is_err()
    );
    assert_eq!((chunks.bytes(), chunks.dropped()), (0, 2));
}

#[test]
fn who_floods_loses_and_others_do_not() {
    let mut chunks = Chunks::new(LIMITS);
    let now = Instant::now();
    let part = vec![0; 1000];
    for index in 0..50 {
        assert_eq!(
            chunks.add(source(1), chunk(1, index, 100, &part), now),
            Ok(None)
        );
        // From another address, the first parts of 100 messages.
        for id in 0..100_u64 {
            let id = (u64::from(index) * 100 + id).to_be_bytes();
            let flood = Chunk {
                id,
                ..chunk(0, 0, 2, &part)
            };
            assert_eq!(chunks.add(source(2), flood, now), Ok(None));
            assert!(chunks.bytes() <= LIMITS.all);
        }
    }
    assert!(chunks.dropped() > 4000);
    for index in 50..99 {
        assert_eq!(
            chunks.add(source(1), chunk(1, index, 100, &part), now),
            Ok(None)
        );
    }
    let whole = chunks.add(source(1), chunk(1, 99, 100, &part), now);
    assert_eq!(whole.unwrap().unwrap().len(), 100_000);
}

#[test]
fn a_message_that_takes_all_the_memory_drops_itself() {
    let limits = Limits {
        all: 10_000,
        message: 100_000,
    };
    let mut chunks = Chunks::new(limits);
    let now = Instant::now();
    let part = vec![0; 1000];
    let added: Vec<_> = (0..100)
        .map(|index| {
            chunks
                .add(source(1), chunk(1, index, 100, &part), now)
                .is_ok()
        })
        .collect();
    assert!(added.contains(&false) && added[0]);
    assert!(
        chunks
            .add(source(1), chunk(2, 0, 2, &part.repeat(10)), now)
            .is_err()
    );
    assert!(chunks.bytes() <= limits.all);
}

#[test]
fn small_messages_are_bounded_by_their_number() {
    let limits = Limits {
        all: 1 << 30,
        message: 1 << 20,
    };
    let mut chunks = Chunks::new(limits);
    let now = Instant::now();
    for id in 0..2 * MESSAGES_MAX {
        let first = Chunk {
            id: id.to_be_bytes(),
            ..chunk(0, 0, 2, b"")
        };
        assert_eq!(chunks.add(source(1), first, now), Ok(None));
    }
    assert_eq!(chunks.messages.len(), MESSAGES_MAX);
    assert_eq!(chunks.order.len(), MESSAGES_MAX);
    assert_eq!(usize::try_from(chunks.dropped()).unwrap(), MESSAGES_MAX);
}
