//! The option at the end of a message.

use super::chunk::{CHUNK_BYTES_MAX, Chunk};
use super::fault::Fault;
use super::msgpack::{Reader, Token};

/// What the option says that matters here. `size` is not among it: some clients
/// count entries, some bytes. Nor is `compressed`: the entries show that
/// themselves.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) chunk: Option<Chunk>,
    pub(super) signal: Signal,
}

/// What kind of data Fluent Bit sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Signal {
    #[default]
    Logs,
    Metrics,
    Traces,
}

/// Why an option cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadOption {
    Unreadable(Fault),
    /// The id has so many bytes.
    LongChunk(usize),
}

impl From<Fault> for BadOption {
    fn from(fault: Fault) -> Self {
        Self::Unreadable(fault)
    }
}

impl Options {
    /// Of the bytes of a value. Anything but a map says nothing.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, BadOption> {
        let mut options = Self::default();
        let mut reader = Reader::new(bytes);
        let Ok(Token::Map(length)) = reader.value() else {
            return Ok(options);
        };
        for _ in 0..length {
            let key = reader.skip()?;
            let value = Reader::new(reader.skip()?).value()?;
            match (Reader::new(key).value()?, value) {
                (Token::Str(b"chunk"), Token::Str(id)) => options.chunk = Some(chunk(id, false)?),
                (Token::Str(b"chunk"), Token::Bin(id)) => options.chunk = Some(chunk(id, true)?),
                (Token::Str(b"fluent_signal"), Token::Integer(1)) => {
                    options.signal = Signal::Metrics;
                }
                (Token::Str(b"fluent_signal"), Token::Integer(2)) => {
                    options.signal = Signal::Traces;
                }
                _ => {}
            }
        }
        Ok(options)
    }
}

fn chunk(id: &[u8], is_binary: bool) -> Result<Chunk, BadOption> {
    match id.len() {
        ..=CHUNK_BYTES_MAX => Ok(Chunk::new(id, is_binary)),
        length => Err(BadOption::LongChunk(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_found_among_the_rest() {
        let options = Options::of(
            b"\x85\xa4size\x03\xa3x y\x82\x01\x02\x03\x04\xa5chunk\xa2id\
              \xadfluent_signal\x01\xaacompressed\xa4gzip",
        )
        .unwrap();
        assert_eq!(options.chunk, Some(Chunk::new(b"id", false)));
        assert_eq!(options.signal, Signal::Metrics);
    }

    #[test]
    fn what_is_no_option_says_nothing() {
        for bytes in [&b"\xc0"[..], b"\x90", b"\x80", b"\x81\xa5chunk\xc0", b""] {
            let options = Options::of(bytes).unwrap();
            assert_eq!((options.chunk, options.signal), (None, Signal::Logs));
        }
    }

    #[test]
    fn an_id_of_any_length_is_not_kept() {
        for (length, is_taken) in [(CHUNK_BYTES_MAX, true), (CHUNK_BYTES_MAX + 1, false)] {
            let head = [0xda, (length >> 8) as u8, length as u8];
            let bytes = [&b"\x81\xa5chunk"[..], &head, &vec![b'x'; length]].concat();
            assert_eq!(Options::of(&bytes).is_ok(), is_taken);
        }
    }
}
