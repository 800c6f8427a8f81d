//! Unpacks compressed bodies, charging what they become as they grow.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};

use bytes::Bytes;

use super::meter::{Client, Meter};
use crate::error::DecodeError;
use sluice_types::excerpt::excerpt;

/// How much is unpacked at once. In between, the client may turn out to be gone.
const STEP_BYTES: usize = 64 << 10;
/// How much of the compressed body is given to the decompressor at once, for the
/// same reason.
const INPUT_BYTES: usize = 16 << 10;
/// The largest window that a zstd frame may always ask for, as the binary
/// logarithm of bytes: what the format asks decoders to support.
const WINDOW_LOG_MIN: u32 = 23;
/// How many times as large as a snappy block its content can be: three bytes
/// stand for at most 64.
const SNAPPY_RATIO: usize = 22;
/// The most characters of an unknown encoding's name in an answer.
const NAME_CHARS: usize = 40;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952, of any number of members.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// What HTTP calls `deflate`: RFC 1950, and from some clients only the
    /// RFC 1951 stream without its header.
    Deflate,
    /// RFC 8878.
    Zstd,
    /// One raw snappy block, without frames.
    Snappy,
}

impl Encoding {
    /// The encoding of this name; `None` if the body is as it is.
    ///
    /// # Errors
    /// It is an unknown one.
    pub fn of(name: &[u8]) -> Result<Option<Self>, DecodeError> {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        Ok(Some(match name.as_str() {
            "" | "identity" => return Ok(None),
            "gzip" | "x-gzip" => Self::Gzip,
            "zlib" => Self::Zlib,
            "deflate" => Self::Deflate,
            "zstd" => Self::Zstd,
            "snappy" => Self::Snappy,
            other => {
                return Err(DecodeError::Unsupported(format!(
                    "the content encoding {:?} is not understood; use gzip, deflate, zstd, \
                     snappy or none",
                    excerpt(other, NAME_CHARS)
                )));
            }
        }))
    }

    /// The encoding that the first bytes show, whatever a header says; `None` if
    /// they show none. A snappy block and a deflate stream have no such bytes. No
    /// JSON text starts with any of these.
    #[must_use]
    pub fn by_magic(packed: &[u8]) -> Option<Self> {
        match packed {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // A window of 32 KiB, which every client uses. Smaller ones could be
            // the start of a text.
            [0x78, ..] if has_zlib_header(packed) => Some(Self::Zlib),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
        }
    }

    /// The body unpacked, or `None` if that is more than `limit` bytes.
    ///
    /// # Errors
    /// It is not in this encoding.
    pub fn unpack(
        self,
        packed: &[u8],
        limit: usize,
        meter: &mut Meter,
    ) -> Result<Option<Bytes>, DecodeError> {
        let input = Input {
            rest: packed,
            client: meter.client(),
        };
        let unpacked = match self {
            Self::Gzip => read(flate2::bufread::MultiGzDecoder::new(input), limit, meter),
            Self::Deflate if !has_zlib_header(packed) => {
                let mut decoder = flate2::bufread::DeflateDecoder::new(input);
                read(&mut decoder, limit, meter).and_then(|read| decoder.into_inner().end(read))
            }
            Self::Zlib | Self::Deflate => {
                let mut decoder = flate2::bufread::ZlibDecoder::new(input);
                read(&mut decoder, limit, meter).and_then(|read| decoder.into_inner().end(read))
            }
            Self::Zstd => zstd(input, limit).and_then(|decoder| read(decoder, limit, meter)),
            Self::Snappy => snappy(packed, limit, meter),
        };
        let unpacked = unpacked.map_err(|error| {
            let name = self.name();
            DecodeError::Malformed(format!(
                "the body is not valid {name}: {error}; correct it or its Content-Encoding"
            ))
        })?;
        Ok(unpacked.map(Bytes::from))
    }
}

/// Whether it starts with the two bytes of RFC 1950, without a dictionary, which
/// nobody here would have.
fn has_zlib_header(packed: &[u8]) -> bool {
    const DEFLATE: u8 = 8;
    const DICTIONARY: u8 = 0x20;
    let [method, flags, ..] = *packed else {
        return false;
    };
    let is_checked = u16::from_be_bytes([method, flags]).is_multiple_of(31);
    method & 0x0f == DEFLATE && method >> 4 <= 7 && flags & DICTIONARY == 0 && is_checked
}

/// Unpacks a snappy block, in one step: its header says how long it becomes.
fn snappy(packed: &[u8], limit: usize, meter: &mut Meter) -> io::Result<Option<Vec<u8>>> {
    let length = snap::raw::decompress_len(packed)?;
    if length > limit {
        return Ok(None);
    }
    if length / SNAPPY_RATIO > packed.len() {
        return Err(io::Error::other("its header says an impossible length"));
    }
    if !meter.charge(length) {
        return Ok(Some(Vec::new()));
    }
    let mut whole = vec![0; length];
    snap::raw::Decoder::new().decompress(packed, &mut whole)?;
    Ok(Some(whole))
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

impl Input<'_> {
    /// What was read, if all of the input was needed for it or it is too much.
    fn end(self, read: Option<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
        let is_over = read.is_none() || self.rest.is_empty() || self.client.is_gone();
        match is_over {
            true => Ok(read),
            false => Err(io::Error::other("more follows behind its end")),
        }
    }
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
