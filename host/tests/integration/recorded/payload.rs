//! How bodies are written in files, and packed.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// The most bytes of a datagram of Docker's, and those of its head.
const DATAGRAM: usize = 1420;
const CHUNK_HEAD: usize = 12;

/// The bytes that a text stands for.
pub(super) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes().filter(|byte| *byte != b'\n');
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap());
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("{other:?} after a backslash"),
        });
    }
    bytes
}

/// The body as this word says.
pub(super) fn packed(how: &str, body: &[u8]) -> Vec<u8> {
    match how {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        "snappy" => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        other => panic!("{other} is no way to pack a body"),
    }
}

/// The chunks of GELF that a message is sent in.
pub(super) fn chunks(message: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = message.chunks(DATAGRAM - CHUNK_HEAD).collect();
    assert!(parts.len() > 1, "it would not be sent in chunks");
    let count = u8::try_from(parts.len()).unwrap();
    let chunk =
        |(number, part): (u8, &&[u8])| [b"\x1e\x0fmessage1", &[number, count][..], part].concat();
    (0..).zip(&parts).map(chunk).collect()
}
