//! Random messages, written by hand so that every form occurs.

use rand::RngExt;
use rand::rngs::StdRng;
use rmpv::Value as Packed;

use super::sample::{array, event_time, gzip, map, pack, packed, text};

const NAMES: &[&str] = &[
    "log",
    "message",
    "msg",
    "body",
    "level",
    "severity",
    "container_id",
    "container_name",
    "container.name",
    "fluent.tag",
    "k",
    "",
    "log.record.original",
    "a longer name of a field",
    "partial_message",
    "世",
];
const TEXTS: &[&str] = &[
    "",
    "hello",
    "info",
    "17",
    "true",
    "/web",
    "\"\\\n\u{1}",
    "世界",
    "\u{10ffff}",
];
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    17,
    127,
    128,
    255,
    256,
    -32,
    -33,
    -128,
    -129,
    65_535,
    65_536,
    i64::MAX,
    i64::MIN,
];

fn any_bytes(rng: &mut StdRng) -> Vec<u8> {
    let length = match rng.random_range(0..2000) {
        0 => rng.random_range(0..70_000),
        1..50 => rng.random_range(0..300),
        _ => rng.random_range(0..20),
    };
    (0..length).map(|_| rng.random()).collect()
}

fn any_text(rng: &mut StdRng) -> Packed {
    match rng.random_range(0..12) {
        0 => {
            let bytes = any_bytes(rng);
            // The only way to a text that is no UTF-8.
            let mut packed = vec![0xdb];
            packed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            packed.extend(bytes);
            rmpv::decode::read_value(&mut &*packed).unwrap()
        }
        1 => Packed::Binary(any_bytes(rng)),
        2 => text(&"x".repeat(rng.random_range(0..300))),
        _ => text(TEXTS[rng.random_range(0..TEXTS.len())]),
    }
}

/// Writes a value, with lengths in any of the forms that can have them, and text
/// as text even where it is no UTF-8, which `rmpv` would not.
fn write(rng: &mut StdRng, value: &Packed, out: &mut Vec<u8>) {
    match value {
        Packed::String(text) => {
            let bytes = text.as_bytes();
            write_length(rng, bytes.len(), Some((0xa0, 32)), Some(0xd9), 0xda, out);
            out.extend(bytes);
        }
        Packed::Binary(bytes) => {
            write_length(rng, bytes.len(), None, Some(0xc4), 0xc5, out);
            out.extend(bytes);
        }
        Packed::Array(values) => {
            write_length(rng, values.len(), Some((0x90, 16)), None, 0xdc, out);
            values.iter().for_each(|value| write(rng, value, out));
        }
        Packed::Map(fields) => {
            write_length(rng, fields.len(), Some((0x80, 16)), None, 0xde, out);
            for (name, value) in fields {
                write(rng, name, out);
                write(rng, value, out);
            }
        }
        scalar => out.extend(pack(scalar)),
    }
}

/// The length in one byte with the type, or behind the byte for a length of one
/// byte, or that for two bytes, whose successor is that for four.
fn write_length(
    rng: &mut StdRng,
    length: usize,
    tiny: Option<(u8, usize)>,
    short: Option<u8>,
    long: u8,
    out: &mut Vec<u8>,
) {
    let length_32 = u32::try_from(length).unwrap();
    match (tiny, short, rng.random_range(0..6)) {
        (Some((head, most)), _, 0..3) if length < most => out.push(head | length as u8),
        (_, Some(head), 0..4) if length < 256 => out.extend([head, length as u8]),
        (_, _, 0..5) if length < 65_536 => {
            out.push(long);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(long + 1);
            out.extend(length_32.to_be_bytes());
        }
    }
}

pub(super) fn written(rng: &mut StdRng, value: &Packed) -> Vec<u8> {
    let mut out = Vec::new();
    write(rng, value, &mut out);
    out
}

pub(super) fn any_value(rng: &mut StdRng, depth: usize) -> Packed {
    let is_leaf = depth == 0;
    match rng.random_range(0..if is_leaf { 12 } else { 16 }) {
        0 => Packed::Nil,
        1 => Packed::from(rng.random::<bool>()),
        2 => Packed::from(NUMBERS[rng.random_range(0..NUMBERS.len())]),
        3 => Packed::from(rng.random::<u64>()),
        4 => Packed::from(rng.random::<i64>() >> rng.random_range(0..64)),
        5 => Packed::F64(f64::from_bits(rng.random())),
        6 => Packed::F32(f32::from_bits(rng.random())),
        7 => Packed::F64(f64::from(rng.random_range(-1000..1000)) / 8.0),
        8 => Packed::Ext(rng.random(), any_bytes(rng)),
        9..12 => any_text(rng),
        12 | 13 => array(
            (0..rng.random_range(0..5))
                .map(|_| any_value(rng, depth - 1))
                .collect(),
        ),
        14 => any_map(rng, depth - 1),
        _ => (0..rng.random_range(0..40)).fold(Packed::Nil, |inner, _| array(vec![inner])),
    }
}

fn any_map(rng: &mut StdRng, depth: usize) -> Packed {
    let length = match rng.random_range(0..2000) {
        0 => rng.random_range(1000..1100),
        1..20 => rng.random_range(15..40),
        _ => rng.random_range(0..7),
    };
    let field = |at: usize| {
        let name = match rng.random_range(0..20) {
            0 => any_value(rng, 1),
            _ if length > 100 => Packed::from(at.to_string()),
            1 => any_text(rng),
            _ => text(NAMES[rng.random_range(0..NAMES.len())]),
        };
        (name, any_value(rng, depth))
    };
    Packed::Map((0..length).map(field).collect())
}

fn any_time(rng: &mut StdRng) -> Packed {
    match rng.random_range(0..10) {
        0 => any_value(rng, 1),
        1 => array(vec![Packed::from(1), any_map(rng, 1)]),
        2 => Packed::F64(1.5),
        3 => Packed::Ext(0, vec![1; 8]),
        _ => Packed::from(1_795_256_298),
    }
}

/// An entry of Fluent Bit that starts or ends a group.
fn any_marker(rng: &mut StdRng) -> Packed {
    let time = event_time(u32::MAX - rng.random_range(0..2), 0);
    let attributes = map(&[("attributes", any_map(rng, 1)), ("name", any_value(rng, 1))]);
    let start = ["resource", "scope"][rng.random_range(0..2)];
    array(vec![
        array(vec![time, any_map(rng, 0)]),
        map(&[(start, attributes)]),
    ])
}

/// Some entries, and a message with them in one of the modes. Groups only if
/// they are wanted.
pub(super) fn any_message(rng: &mut StdRng, has_groups: bool) -> (Vec<Packed>, Vec<u8>) {
    let count = rng.random_range(0..6);
    let all = (0..count).map(|_| match rng.random_range(0..30) {
        0 => any_value(rng, 2),
        1..10 if has_groups => any_marker(rng),
        _ => array(vec![any_time(rng), any_map(rng, 2)]),
    });
    let all: Vec<_> = all.collect();
    let chunk = [("chunk", text("c"))];
    let option = &chunk[..rng.random_range(0..=1)];
    let entries: Vec<u8> = all.iter().flat_map(|entry| written(rng, entry)).collect();
    let body = match rng.random_range(0..4) {
        0 => written(rng, &array(vec![text("t"), array(all.clone())])),
        1 => packed(&gzip(&entries), option).to_vec(),
        2 => packed(&zstd::encode_all(&*entries, 1).unwrap(), option).to_vec(),
        _ => packed(&entries, option).to_vec(),
    };
    (all, body)
}

pub(super) fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..4) {
        match rng.random_range(0..4) {
            0 => bytes.truncate(rng.random_range(0..=bytes.len())),
            1 if !bytes.is_empty() => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => bytes.insert(rng.random_range(0..=bytes.len()), rng.random()),
            _ if !bytes.is_empty() => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            _ => {}
        }
    }
}
