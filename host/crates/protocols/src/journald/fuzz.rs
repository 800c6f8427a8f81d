//! Random streams: whatever the pieces they arrive in, the same records come out
//! as of the whole body, and as of a reader that looks at one byte at a time.

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use sluice_types::record::LogRecord;

use super::decode::entries;
use super::framer::{FIELD_BYTES_MAX, Framer, Part};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::fuzzing::{MEMORY, check, each_seed, measure, mixed};

const PIECES: &[&[u8]] = &[
    b"\n",
    b"\n\n",
    b"=",
    b"A",
    b"A=",
    b"A=1\n",
    b"B=\xff\n",
    b"a=lower\n",
    b"=x\n",
    b"MESSAGE=hello\n",
    b"MESSAGE=hello\n\n",
    b"MESSAGE\n",
    b"MESSAGE\n\x05\0\0\0\0\0\0\0a\n\n=b\n",
    b"DATA\n\0\0\0\0\0\0\0\0\n",
    b"DATA\n\x02\0\0\0\0\0\0\0\xff\xfe\n",
    b"\x03\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"PRIORITY=3\n",
    b"_PID=12\n",
    b"__CURSOR=c\n",
    b"__REALTIME_TIMESTAMP=1795255000000000\n",
    b"SYSLOG_IDENTIFIER=s\n_HOSTNAME=h\n",
];

/// How many entries a body has; `None` if it cannot be divided into them.
fn count(body: &[u8]) -> Option<usize> {
    let mut bytes = body.iter().copied();
    let (mut entries, mut has_fields) = (0, false);
    loop {
        let mut line = Vec::new();
        let ended = loop {
            match bytes.next() {
                Some(b'\n') => break false,
                Some(byte) => line.push(byte),
                None => break true,
            }
        };
        if line.is_empty() {
            entries += usize::from(std::mem::take(&mut has_fields));
        } else {
            has_fields = true;
            if !line.contains(&b'=') {
                let mut length = [0; 8];
                for byte in &mut length {
                    *byte = bytes.next()?;
                }
                let length = u64::from_le_bytes(length);
                if length > FIELD_BYTES_MAX {
                    return None;
                }
                for _ in 0..length {
                    bytes.next()?;
                }
                if bytes.next()? != b'\n' {
                    return None;
                }
            }
        }
        if ended {
            return Some(entries + usize::from(has_fields));
        }
    }
}

fn whole(body: &Bytes) -> Result<(Decoded, usize), DecodeError> {
    measure(MEMORY, |meter| entries(body, 7, usize::MAX, meter))
}

/// The records and the number of rejections of a stream that arrives in random
/// pieces.
fn streamed(rng: &mut StdRng, body: &[u8]) -> Result<(Vec<LogRecord>, usize), DecodeError> {
    // No announced field is too large.
    let mut framer = Framer::new(usize::MAX, rng.random_range(1..5));
    let (mut records, mut rejected) = (Vec::new(), 0);
    let mut take = |part: Part, buffer: &mut Vec<u8>| {
        let Part::Entries(bytes) = part else {
            assert_eq!(part, Part::Incomplete);
            return false;
        };
        let bytes: Vec<u8> = buffer.drain(..bytes).collect();
        let (decoded, _) = whole(&bytes.into()).unwrap();
        records.extend(decoded.records);
        rejected += decoded.rejected.len();
        true
    };
    let mut buffer = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rng.random_range(1..=rest.len()));
        rest = later;
        buffer.extend(piece);
        while take(framer.next(&buffer)?, &mut buffer) {}
    }
    take(framer.finish(&buffer)?, &mut buffer);
    Ok((records, rejected))
}

#[test]
fn any_stream_in_any_pieces() {
    each_seed(|rng| {
        let body = Bytes::from(mixed(rng, PIECES, 30));
        let expected = count(&body);
        let streamed = streamed(rng, &body);
        match whole(&body) {
            Ok((decoded, charged)) => {
                check(&decoded, charged);
                let entries = decoded.records.len() + decoded.rejected.len();
                assert_eq!(Some(entries), expected, "{body:?}");
                let (records, rejected) = streamed.unwrap();
                assert_eq!(
                    (records, rejected),
                    (decoded.records, decoded.rejected.len())
                );
            }
            Err(error) => {
                assert_eq!(expected, None, "{body:?}");
                assert!(matches!(error, DecodeError::Malformed(_)));
                assert_eq!(streamed.unwrap_err(), error);
            }
        }
    });
}

#[test]
fn any_limit_of_an_entry() {
    each_seed(|rng| {
        let body = mixed(rng, PIECES, 30);
        let limit = rng.random_range(1..60);
        let mut framer = Framer::new(limit, 3);
        let (mut buffer, mut dropped, mut rest) = (Vec::new(), 0, &body[..]);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rng.random_range(1..=rest.len()));
            rest = later;
            buffer.extend(piece);
            loop {
                match framer.next(&buffer) {
                    Ok(Part::Entries(n)) => {
                        let bytes: Vec<u8> = buffer.drain(..n).collect();
                        assert!(count(&bytes).unwrap() <= 3);
                        dropped += n;
                    }
                    Ok(Part::TooLarge(n) | Part::Rest(n)) => {
                        assert!(n > 0);
                        dropped += buffer.drain(..n).len();
                    }
                    Ok(Part::Incomplete) => break,
                    Err(_) => return,
                }
            }
            assert!(buffer.len() <= limit);
        }
        assert_eq!(dropped + buffer.len(), body.len());
    });
}
