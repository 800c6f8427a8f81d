//! What a UDP datagram is.

/// The most chunks of a message.
pub const CHUNKS_MAX: u8 = 128;

/// A message, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A whole message, which may be packed.
    Message(&'a [u8]),
    /// A part of a message, which may be packed as a whole.
    Chunk(Chunk<'a>),
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The same in all parts of a message, and in none of another from the same
    /// source at the same time.
    pub id: [u8; 8],
    /// The place in the message, below `count`.
    pub index: u8,
    /// How many parts the message has: 1 to 128.
    pub count: u8,
    /// The part.
    pub payload: &'a [u8],
}

/// Tells a chunk from a whole message, by its first two bytes.
///
/// # Errors
/// It is a chunk whose head is cut off or impossible.
pub fn classify(datagram: &[u8]) -> Result<Datagram<'_>, &'static str> {
    let [0x1e, 0x0f, rest @ ..] = datagram else {
        return Ok(Datagram::Message(datagram));
    };
    let Some((&id, [index, count, payload @ ..])) = rest.split_first_chunk() else {
        return Err("a chunk is shorter than its head");
    };
    if *count > CHUNKS_MAX || index >= count {
        return Err("a chunk has an impossible number");
    }
    Ok(Datagram::Chunk(Chunk {
        id,
        index: *index,
        count: *count,
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_told_from_a_message() {
        // The head of the fifth of Docker's nine chunks.
        let chunk = b"\x1e\x0f\xccC\xf00\x9c\xdfI\xed\x04\x09\x1f\x8b";
        let expected = Chunk {
            id: *b"\xccC\xf00\x9c\xdfI\xed",
            index: 4,
            count: 9,
            payload: b"\x1f\x8b",
        };
        assert_eq!(classify(chunk), Ok(Datagram::Chunk(expected)));
        for message in [&b""[..], b"\x1e", b"\x1f\x8b\x08", b"{}", b"x\x01"] {
            assert_eq!(classify(message), Ok(Datagram::Message(message)));
        }
    }

    #[test]
    fn an_impossible_head_is_refused() {
        let head = |numbers: &[u8]| [&b"\x1e\x0f12345678"[..], numbers].concat();
        for numbers in [
            &b""[..],
            b"\x00",
            b"\x00\x00",
            b"\x01\x01",
            b"\x00\x81",
            b"\xff\xff",
        ] {
            assert!(classify(&head(numbers)).is_err(), "{numbers:?}");
        }
        assert!(classify(&head(b"\x7f\x80")).is_ok());
        assert!(classify(b"\x1e\x0f").is_err());
    }
}
