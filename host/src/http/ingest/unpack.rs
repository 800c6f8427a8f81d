//! Unpacks compressed bodies, charging what they become as they grow.

use std::io::{self, BufRead, Read};

use bytes::Bytes;

use super::meter::{Client, Meter};
use crate::http::problem::Problem;
use sluice_types::excerpt::excerpt;

/// How much is unpacked at once. In between, the client may turn out to be gone.
const STEP_BYTES: usize = 64 << 10;
/// How much of the compressed body is given to the decompressor at once, for the
/// same reason.
const INPUT_BYTES: usize = 16 << 10;
/// The largest window that a zstd frame may always ask for, as the binary
/// logarithm of bytes: what the format asks decoders to support.
const WINDOW_LOG_MIN: u32 = 23;
/// The most characters of an unknown encoding's name in an answer.
const NAME_CHARS: usize = 40;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// The encoding of this name; `None` if the body is as it is.
    ///
    /// # Errors
    /// It is an unknown one.
    pub(super) fn of(name: &[u8]) -> Result<Option<Self>, Problem> {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        Ok(Some(match name.as_str() {
            "" | "identity" => return Ok(None),
            "gzip" | "x-gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            other => {
                return Err(Problem::Unsupported(format!(
                    "the content encoding {:?} is not understood; use gzip, zstd or none",
                    excerpt(other, NAME_CHARS)
                )));
            }
        }))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The body unpacked, or `None` if that is more than `limit` bytes.
    ///
    /// # Errors
    /// It is not in this encoding.
    pub(super) fn unpack(
        self,
        packed: &[u8],
        limit: usize,
        meter: &mut Meter,
    ) -> Result<Option<Bytes>, Problem> {
        let input = Input {
            rest: packed,
            client: meter.client(),
        };
        let unpacked = match self {
            Self::Gzip => read(flate2::bufread::MultiGzDecoder::new(input), limit, meter),
            Self::Zstd => zstd(input, limit).and_then(|decoder| read(decoder, limit, meter)),
        };
        let unpacked = unpacked.map_err(|error| {
            let name = self.name();
            Problem::Malformed(format!(
                "the body is not valid {name}: {error}; correct it or its Content-Encoding"
            ))
        })?;
        Ok(unpacked.map(Bytes::from))
    }
}

/// A decompressor whose window is bounded: a frame can ask for 2 GiB.
fn zstd(input: Input<'_>, limit: usize) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
    let body = limit.max(1).next_power_of_two().ilog2();
    decoder.window_log_max(body.clamp(WINDOW_LOG_MIN, 31))?;
    Ok(decoder)
}

/// Reads to the end; `None` if there are more than `limit` bytes. What was read
/// so far, if there is no memory for more.
///
/// Doubling the buffer is charged before it is done. While the old half is being
/// copied, the new half is still empty, so the copy takes no more than what is
/// charged.
fn read(mut from: impl Read, limit: usize, meter: &mut Meter) -> io::Result<Option<Vec<u8>>> {
    let before = meter.charged();
    let mut whole = Vec::new();
    while !meter.is_stopped() {
        if whole.len() == whole.capacity() {
            // One byte more than the limit shows that there is too much.
            let rest = limit.saturating_add(1) - whole.len();
            let more = whole.len().max(STEP_BYTES).min(rest);
            if !meter.charge(more) {
                break;
            }
            whole.reserve_exact(more);
        }
        let step = STEP_BYTES.min(whole.capacity() - whole.len());
        let most = u64::try_from(step).unwrap_or(u64::MAX);
        let count = from.by_ref().take(most).read_to_end(&mut whole)?;
        if whole.len() > limit {
            return Ok(None);
        }
        if count < step {
            whole.shrink_to_fit();
            meter.reduce(before + whole.len());
            break;
        }
    }
    Ok(Some(whole))
}

/// The compressed bytes, for as long as the client waits.
struct Input<'a> {
    rest: &'a [u8],
    client: Client,
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.client.is_gone() {
            return Err(io::Error::other("nobody waits for it"));
        }
        Ok(self.rest.get(..INPUT_BYTES).unwrap_or(self.rest))
    }

    fn consume(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::memory_budget::{MemoryBudget, Reservation};
    use std::io::Write;

    const LIMIT: usize = 1 << 20;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(
        encoding: Encoding,
        packed: &[u8],
        memory: usize,
    ) -> Result<(Option<Bytes>, Reservation), Problem> {
        let reservation = MemoryBudget::new(memory).reserve();
        Meter::new(reservation, Client::default())
            .measure(|meter| encoding.unpack(packed, LIMIT, meter))
    }

    #[test]
    fn what_is_unpacked_is_charged_and_no_more() {
        for length in [0, 1, STEP_BYTES, STEP_BYTES + 1, LIMIT] {
            let text: Vec<u8> = (0_u8..=255).cycle().take(length).collect();
            let zstd = zstd::encode_all(&*text, 1).unwrap();
            for (encoding, packed) in [(Encoding::Gzip, gzip(&text)), (Encoding::Zstd, zstd)] {
                let (unpacked, reservation) = unpack(encoding, &packed, 2 * LIMIT).unwrap();
                assert_eq!(unpacked.unwrap(), text);
                assert_eq!(reservation.spent(), length);
            }
        }
    }

    #[test]
    fn more_than_the_limit_or_the_memory_is_not_unpacked() {
        let text = vec![b'x'; LIMIT + 1];
        let zstd = zstd::encode_all(&*text, 1).unwrap();
        for (encoding, packed) in [(Encoding::Gzip, gzip(&text)), (Encoding::Zstd, zstd)] {
            let (unpacked, _) = unpack(encoding, &packed, 2 * LIMIT).unwrap();
            assert_eq!(unpacked, None);
            let exhausted = unpack(encoding, &packed, LIMIT / 2).unwrap_err();
            assert!(matches!(exhausted, Problem::TooLarge(_)), "{exhausted:?}");
        }
    }

    #[test]
    fn a_zstd_frame_cannot_ask_for_a_huge_window() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"short").unwrap();
        let packed = encoder.finish().unwrap();
        let refused = unpack(Encoding::Zstd, &packed, 2 * LIMIT).unwrap_err();
        assert!(matches!(refused, Problem::Malformed(_)), "{refused:?}");
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
        let Err(Problem::Unsupported(text)) = Encoding::of(&[b'\\'; 60_000]) else {
            panic!("understood")
        };
        assert!(text.len() < 200, "{text}");
    }
}
