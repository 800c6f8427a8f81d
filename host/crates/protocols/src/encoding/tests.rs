//! Tests of the encodings.

use super::*;
use crate::memory_budget::{MemoryBudget, Reservation};
use std::io::Write;

const LIMIT: usize = 1 << 20;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn snappy(text: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(text).unwrap()
}

/// The text in every encoding.
fn packed(text: &[u8]) -> [(Encoding, Vec<u8>); 6] {
    [
        (Encoding::Gzip, gzip(text)),
        (Encoding::Zlib, zlib(text)),
        (Encoding::Deflate, zlib(text)),
        (Encoding::Deflate, deflate(text)),
        (Encoding::Zstd, zstd::encode_all(text, 1).unwrap()),
        (Encoding::Snappy, snappy(text)),
    ]
}

fn unpack(
    encoding: Encoding,
    packed: &[u8],
    memory: usize,
) -> Result<(Option<Bytes>, Reservation), DecodeError> {
    let reservation = MemoryBudget::new(memory).reserve();
    Meter::new(reservation, Client::default())
        .measure(|meter| encoding.unpack(packed, LIMIT, meter))
}

#[test]
fn what_is_unpacked_is_charged_and_no_more() {
    for length in [0, 1, STEP_BYTES, STEP_BYTES + 1, LIMIT] {
        let text: Vec<u8> = (0_u8..=255).cycle().take(length).collect();
        for (encoding, packed) in packed(&text) {
            let (unpacked, reservation) = unpack(encoding, &packed, 2 * LIMIT).unwrap();
            assert_eq!(unpacked.unwrap(), text);
            assert_eq!(reservation.spent(), length);
        }
    }
}

#[test]
fn more_than_the_limit_or_the_memory_is_not_unpacked() {
    let text = vec![b'x'; LIMIT + 1];
    for (encoding, packed) in packed(&text) {
        let (unpacked, _) = unpack(encoding, &packed, 2 * LIMIT).unwrap();
        assert_eq!(unpacked, None);
    }
    for (encoding, packed) in self::packed(&text[1..]) {
        let exhausted = unpack(encoding, &packed, LIMIT / 2).unwrap_err();
        assert!(
            matches!(exhausted, DecodeError::Stopped(_)),
            "{exhausted:?}"
        );
    }
}

#[test]
fn what_is_broken_cut_off_or_followed_by_more_is_malformed() {
    let text: Vec<u8> = (0..200_000_u32).map(|n| (n / 7) as u8).collect();
    for (encoding, packed) in packed(&text) {
        let cut = &packed[..packed.len() - 1];
        let followed = [&packed, &b"{}"[..]].concat();
        for wrong in [cut, &followed, &packed[1..], b""] {
            let refused = unpack(encoding, wrong, 2 * LIMIT).unwrap_err();
            let DecodeError::Malformed(reason) = refused else {
                panic!("{encoding:?}: {refused:?}")
            };
            assert!(reason.contains(encoding.name()), "{reason}");
        }
    }
}

#[test]
fn a_snappy_block_gets_no_memory_for_what_it_cannot_hold() {
    // It says that it becomes 512 KiB.
    let reservation = MemoryBudget::new(LIMIT).reserve();
    let mut meter = Meter::new(reservation, Client::default());
    let lie = [0x80, 0x80, 0x20, 0];
    assert!(Encoding::Snappy.unpack(&lie, LIMIT, &mut meter).is_err());
    assert_eq!(meter.charged(), 0);
    // The most that a block can hold is taken: here, 64 bytes for three.
    let zeros = vec![0; LIMIT];
    let (unpacked, _) = unpack(Encoding::Snappy, &snappy(&zeros), LIMIT).unwrap();
    assert_eq!(unpacked.unwrap(), zeros);
}

#[test]
fn the_first_bytes_show_the_encoding() {
    for (encoding, packed) in packed(b"text") {
        let expected = match encoding {
            Encoding::Gzip | Encoding::Zstd => Some(encoding),
            _ if packed[0] == 0x78 => Some(Encoding::Zlib),
            _ => None,
        };
        assert_eq!(Encoding::by_magic(&packed), expected);
    }
    // Every level of compression, as Docker and Python write them.
    for flags in [0x01, 0x5e, 0x9c, 0xda] {
        assert_eq!(Encoding::by_magic(&[0x78, flags]), Some(Encoding::Zlib));
    }
    for text in [
        &b""[..],
        b"x",
        b"x = 1",
        b"x{",
        b"xx",
        b"{}",
        b"[]",
        b" {",
        b"\x1e\x0f",
    ] {
        assert_eq!(Encoding::by_magic(text), None, "{text:?}");
    }
}

#[test]
fn a_zstd_frame_cannot_ask_for_a_huge_window() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"short").unwrap();
    let packed = encoder.finish().unwrap();
    let refused = unpack(Encoding::Zstd, &packed, 2 * LIMIT).unwrap_err();
    assert!(matches!(refused, DecodeError::Malformed(_)), "{refused:?}");
}

#[test]
fn a_client_that_has_gone_is_noticed_between_empty_members() {
    let client = Client::default();
    drop(client.waiting());
    let mut meter = Meter::new(MemoryBudget::new(LIMIT).reserve(), client);
    let packed = gzip(b"").repeat(10_000);
    assert!(Encoding::Gzip.unpack(&packed, LIMIT, &mut meter).is_ok());
    assert_eq!(meter.charged(), 0);
    let mut input = Input {
        rest: &packed,
        client: meter.client(),
    };
    assert!(input.fill_buf().is_err());
}

#[test]
fn an_unknown_encoding_is_named_but_not_at_any_length() {
    assert_eq!(Encoding::of(b"GZIP"), Ok(Some(Encoding::Gzip)));
    assert_eq!(Encoding::of(b"identity"), Ok(None));
    for (name, encoding) in [
        (&b"deflate"[..], Encoding::Deflate),
        (b"zlib", Encoding::Zlib),
        (b"Snappy", Encoding::Snappy),
    ] {
        assert_eq!(Encoding::of(name), Ok(Some(encoding)));
    }
    let Err(DecodeError::Unsupported(text)) = Encoding::of(&[b'\\'; 60_000]) else {
        panic!("understood")
    };
    assert!(text.len() < 200, "{text}");
}
