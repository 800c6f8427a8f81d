//! Requests of the protocols whose bodies are protobuf.

use super::shapes::{BODY, Route, filled};
use crate::hostile::requests::attack::{Attack, zstd};

const PROTOBUF: &str = "application/x-protobuf";

/// A field with bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 128 {
        bytes.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

/// Almost a body of this.
fn many(unit: &[u8]) -> Vec<u8> {
    unit.repeat((BODY - 100) / unit.len())
}

/// Values in values, as deep as a body holds.
fn nested() -> Vec<u8> {
    // Each level has an array with one value, and both lengths in five bytes. They
    // are right, and so is that of the next level.
    const LEVEL: usize = 12;
    let depth = (BODY - 200) / LEVEL;
    let length = |of: usize| {
        let mut bytes = [0_u8; 5];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let low = u8::try_from((of >> (7 * place)) & 127).unwrap();
            *byte = low | if place < 4 { 128 } else { 0 };
        }
        bytes
    };
    let mut bytes = Vec::with_capacity(BODY);
    for level in 0..depth {
        let rest = (depth - level) * LEVEL;
        bytes.push(5 << 3 | 2);
        bytes.extend(length(rest - 6));
        bytes.push(1 << 3 | 2);
        bytes.extend(length(rest - 12));
    }
    bytes
}

/// Messages of OTLP.
pub(super) fn otlp_messages() -> Vec<(&'static str, Vec<u8>)> {
    let record = |content: &[u8]| field(1, &field(2, &field(2, content)));
    let text = |text: &[u8]| field(1, text);
    let controls = many(b"\x01");
    let key_value = |value: &[u8]| [field(1, b"a"), field(2, value)].concat();
    let map = field(6, &field(1, &key_value(&text(&controls[..BODY - 200]))));
    let resource = field(1, &field(1, &many(b"\x0a\x00")[..BODY - 1000]));
    let with_resource = [resource, field(2, &b"\x12\x00".repeat(400))].concat();
    vec![
        ("empty resources", many(b"\x0a\x00")),
        ("empty scopes", field(1, &many(b"\x12\x00"))),
        ("empty records", field(1, &field(2, &many(b"\x12\x00")))),
        ("empty attributes", record(&many(b"\x32\x00"))),
        ("attributes of a resource", field(1, &with_resource)),
        (
            "attributes without a value",
            record(&many(b"\x32\x03\x0a\x01a")),
        ),
        ("deep nesting", record(&field(5, &nested()))),
        ("nested control characters", record(&field(5, &map))),
        (
            "empty values",
            record(&field(5, &field(5, &many(b"\x0a\x00")))),
        ),
        (
            "empty members",
            record(&field(5, &field(6, &many(b"\x0a\x00")))),
        ),
        ("a body of bytes", record(&field(5, &field(7, &controls)))),
        ("an id of a trace", record(&field(9, &controls))),
        ("unknown fields", many(b"\xf8\x7f\x00")),
        (
            "a huge length",
            [&b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..], &controls].concat(),
        ),
        ("a length without content", b"\x0a\x80\x80\x80\x04".to_vec()),
        ("a number without an end", many(b"\xff")),
    ]
}

pub(super) fn otlp() -> Vec<Attack> {
    let route = Route::new("/v1/logs", PROTOBUF);
    let messages = otlp_messages().into_iter();
    let mut attacks: Vec<_> = messages
        .map(|(name, body)| route.attack(name, &body))
        .collect();
    attacks.extend(route.bombs());
    attacks
}

pub(super) fn loki() -> Vec<Attack> {
    let route = Route::new("/loki/api/v1/push", PROTOBUF);
    let snappy = |name, body: &[u8]| {
        let packed = snap::raw::Encoder::new().compress_vec(body).unwrap();
        route.encoded(name, "", packed)
    };
    let stream = |content: &[u8]| field(1, content);
    let entry = |content: &[u8]| stream(&field(2, content));
    let labels = filled(b"{", b"a=\"\",", b"}");
    let escapes = filled(b"{a=\"", b"\\u0001", b"\"}");
    let claim = b"\xff\xff\xff\xff\x0f\x0cabcd".to_vec();
    vec![
        snappy("empty streams", &many(b"\x0a\x00")),
        snappy("empty entries", &stream(&many(b"\x12\x00"))),
        snappy("short entries", &stream(&many(b"\x12\x03\x12\x01a"))),
        snappy("labels", &stream(&field(1, &labels[..BODY - 100]))),
        snappy(
            "labels of escapes",
            &stream(&field(1, &escapes[..BODY - 100])),
        ),
        snappy("empty metadata", &entry(&many(b"\x1a\x00"))),
        snappy("metadata", &entry(&many(b"\x1a\x06\x0a\x01a\x12\x01b"))),
        snappy("a huge length", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        snappy("unknown fields", &many(b"\xf8\x7f\x00")),
        snappy("a bomb", &vec![b'x'; 8 * BODY]),
        route.encoded("a length that is too large", "", claim),
        route.encoded("a length without content", "", b"\x80\x80\x80\x02".to_vec()),
        route.encoded("snappy in zstd", "zstd", zstd(&many(b"\x0a\x00"))),
    ]
}
