//! Finds whole entries in a stream, without looking at any byte twice.

use crate::error::DecodeError;

/// The longest binary field, in bytes: what systemd itself reads (`DATA_SIZE_MAX`
/// of its `journal-importer.h`).
pub(super) const FIELD_BYTES_MAX: u64 = 768 << 20;
/// The length in front of a binary field, in bytes.
pub(super) const LENGTH_BYTES: u8 = 8;

/// What the first bytes of a buffer are. They must be removed before the next
/// question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This many bytes are whole entries, for [`super::decode::entries`].
    Entries(usize),
    /// This many bytes are the first of an entry that is larger than may be: one
    /// rejection, with [`Framer::too_large`] as the reason.
    TooLarge(usize),
    /// This many bytes are more of such an entry.
    Rest(usize),
    /// There is no whole entry yet.
    Incomplete,
}

/// Where in an entry a byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the begin of a line.
    Line,
    /// In the name of a field.
    Name,
    /// Behind the equals sign of a text field.
    Text,
    /// In the length of a binary field, of which so many bytes are known.
    Length { known: u8, so_far: u64 },
    /// In a binary field of which so many bytes are missing.
    Data { missing: u64 },
    /// Behind a binary field.
    DataEnd,
}

/// Finds the ends of entries in a buffer that grows at its end.
#[derive(Debug)]
pub struct Framer {
    /// The most bytes of an entry, with the empty line at its end.
    entry_max: usize,
    /// The most entries of a part.
    part_max: usize,
    state: State,
    /// How much of the buffer has been looked at.
    scanned: usize,
    /// How much of that is whole entries.
    whole: usize,
    /// How many these are.
    entries: usize,
    /// Whether the entry that is being looked at has a field.
    has_fields: bool,
    /// Whether everything up to `scanned` ends with the end of an entry that is
    /// not yet counted to `whole`.
    is_at_end: bool,
    /// Whether the entry that is being looked at is too large.
    is_skipping: bool,
}

impl Framer {
    /// For entries of at most `entry_max` bytes, in parts of at most `part_max`
    /// entries.
    #[must_use]
    pub fn new(entry_max: usize, part_max: usize) -> Self {
        Self {
            entry_max: entry_max.max(1),
            part_max: part_max.max(1),
            state: State::Line,
            scanned: 0,
            whole: 0,
            entries: 0,
            has_fields: false,
            is_at_end: false,
            is_skipping: false,
        }
    }

    /// What the buffer begins with: the bytes since the parts that were removed,
    /// and whatever has arrived since. A buffer need not be larger than the
    /// largest entry and what arrives at once.
    ///
    /// # Errors
    /// The rest of the stream cannot be divided into entries.
    pub fn next(&mut self, buffer: &[u8]) -> Result<Part, DecodeError> {
        loop {
            self.scan(buffer)?;
            if self.is_skipping || self.size() > self.entry_max {
                return Ok(self.excess());
            }
            if !self.is_at_end {
                return Ok(self.release());
            }
            self.is_at_end = false;
            self.whole = self.scanned;
            self.entries += usize::from(std::mem::take(&mut self.has_fields));
            if self.entries >= self.part_max {
                return Ok(self.release());
            }
        }
    }

    /// What is left when the body has ended, after [`Part::Incomplete`]. The last
    /// entry may lack the empty line at its end.
    ///
    /// # Errors
    /// It ends within a binary field.
    pub fn finish(&mut self, buffer: &[u8]) -> Result<Part, DecodeError> {
        if buffer.is_empty() {
            return Ok(Part::Incomplete);
        }
        match self.state {
            _ if self.is_skipping => Ok(Part::Rest(buffer.len())),
            State::Line | State::Text => Ok(Part::Entries(buffer.len())),
            _ => Err(cut_off()),
        }
    }

    /// The reason for the rejection of an entry that is too large.
    #[must_use]
    pub fn too_large(&self) -> String {
        format!("the entry has more than {} bytes", self.entry_max)
    }

    /// The size of the entry that is being looked at, as far as it is known.
    fn size(&self) -> usize {
        let announced = match self.state {
            State::Data { missing } => usize::try_from(missing).unwrap_or(usize::MAX),
            _ => 0,
        };
        (self.scanned - self.whole).saturating_add(announced)
    }

    /// The whole entries.
    fn release(&mut self) -> Part {
        let whole = std::mem::take(&mut self.whole);
        self.scanned -= whole;
        self.entries = 0;
        match whole {
            0 => Part::Incomplete,
            whole => Part::Entries(whole),
        }
    }

    /// Whole entries before one that is too large, or what is there of that one.
    fn excess(&mut self) -> Part {
        if self.whole > 0 {
            return self.release();
        }
        let bytes = std::mem::take(&mut self.scanned);
        let goes_on = !std::mem::take(&mut self.is_at_end);
        self.has_fields &= goes_on;
        match std::mem::replace(&mut self.is_skipping, goes_on) {
            false => Part::TooLarge(bytes),
            true if bytes > 0 => Part::Rest(bytes),
            true => Part::Incomplete,
        }
    }

    /// Looks on to the end of the entry or of the buffer.
    fn scan(&mut self, buffer: &[u8]) -> Result<(), DecodeError> {
        while !self.is_at_end {
            let rest = buffer.get(self.scanned..).unwrap_or_default();
            let Some(first) = rest.first() else {
                return Ok(());
            };
            if self.state == State::Line {
                if *first == b'\n' {
                    self.scanned += 1;
                    self.is_at_end = true;
                } else {
                    self.state = State::Name;
                    self.has_fields = true;
                }
            } else {
                let (state, bytes) = self.state.advance(*first, rest)?;
                self.state = state;
                self.scanned += bytes;
            }
        }
        Ok(())
    }
}

impl State {
    /// The state behind some bytes of the rest, and how many these are.
    fn advance(self, first: u8, rest: &[u8]) -> Result<(Self, usize), DecodeError> {
        Ok(match self {
            Self::Line => (Self::Name, 0),
            Self::Name => match memchr::memchr2(b'=', b'\n', rest) {
                Some(at) if rest.get(at) == Some(&b'=') => (Self::Text, at + 1),
                Some(at) => {
                    let none = Self::Length {
                        known: 0,
                        so_far: 0,
                    };
                    (none, at + 1)
                }
                None => (self, rest.len()),
            },
            Self::Text => match memchr::memchr(b'\n', rest) {
                Some(at) => (Self::Line, at + 1),
                None => (self, rest.len()),
            },
            Self::Length { known, so_far } => {
                let so_far = so_far | u64::from(first) << (8 * known);
                let known = known + 1;
                match known {
                    LENGTH_BYTES => (Self::data(so_far)?, 1),
                    _ => (Self::Length { known, so_far }, 1),
                }
            }
            Self::Data { missing } => {
                let here = usize::try_from(missing).map_or(rest.len(), |n| n.min(rest.len()));
                let missing = missing.saturating_sub(here as u64);
                match missing {
                    0 => (Self::DataEnd, here),
                    missing => (Self::Data { missing }, here),
                }
            }
            Self::DataEnd if first == b'\n' => (Self::Line, 1),
            Self::DataEnd => return Err(no_line_feed()),
        })
    }

    fn data(length: u64) -> Result<Self, DecodeError> {
        match length {
            0 => Ok(Self::DataEnd),
            1..=FIELD_BYTES_MAX => Ok(Self::Data { missing: length }),
            _ => Err(field_too_long(length)),
        }
    }
}

pub(super) fn cut_off() -> DecodeError {
    DecodeError::Malformed("the last entry ends within a field".to_owned())
}

pub(super) fn no_line_feed() -> DecodeError {
    DecodeError::Malformed("a binary field has no line feed at its end".to_owned())
}

pub(super) fn field_too_long(length: u64) -> DecodeError {
    DecodeError::Malformed(format!("a binary field of {length} bytes is announced"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"__CURSOR=c\nMESSAGE=hello\n\n";
    const BINARY: &[u8] = b"MESSAGE\n\x0a\x00\x00\x00\x00\x00\x00\x00\n\nmulti\n=x\nA=1\n\n";

    /// The parts of a stream that arrives in pieces of this size: whole entries
    /// as bytes, and for one that is too large its size.
    fn parts(stream: &[u8], piece: usize, entry_max: usize) -> (Vec<u8>, Vec<usize>) {
        let mut framer = Framer::new(entry_max, 3);
        let (mut whole, mut too_large) = (Vec::new(), Vec::new());
        let mut buffer = Vec::new();
        for bytes in stream.chunks(piece) {
            buffer.extend(bytes);
            loop {
                match framer.next(&buffer).unwrap() {
                    Part::Entries(n) => whole.extend(buffer.drain(..n)),
                    Part::TooLarge(n) => too_large.push(buffer.drain(..n).len()),
                    Part::Rest(n) => {
                        *too_large.last_mut().unwrap() += buffer.drain(..n).len();
                    }
                    Part::Incomplete => break,
                }
                assert!(buffer.len() <= piece + entry_max);
            }
        }
        assert_eq!(framer.finish(&buffer), Ok(Part::Incomplete));
        (whole, too_large)
    }

    #[test]
    fn entries_are_found_whatever_the_pieces_they_arrive_in() {
        let stream = [ONE, b"\n\n", BINARY, ONE, BINARY].concat();
        for piece in 1..=stream.len() {
            let (whole, too_large) = parts(&stream, piece, 100);
            assert_eq!(whole, stream, "{piece}");
            assert!(too_large.is_empty());
        }
    }

    #[test]
    fn an_entry_that_is_too_large_is_skipped_alone_and_never_gathered() {
        // The limit is the size of the largest entry that fits.
        let limit = BINARY.len().max(ONE.len());
        let long = [
            b"MESSAGE=".to_vec(),
            b"x".repeat(limit),
            b"\nB=2\n\n".to_vec(),
        ]
        .concat();
        let mut huge = b"CORE\n\xe8\x03\x00\x00\x00\x00\x00\x00".to_vec();
        huge.extend(b"\n\nMESSAGE=\n".iter().cycle().take(1000));
        huge.extend(b"\n\n");
        let stream = [ONE, &long, ONE, BINARY, &huge, &long, ONE].concat();
        let kept = [ONE, ONE, BINARY, ONE].concat();
        for piece in 1..=stream.len() {
            let (whole, too_large) = parts(&stream, piece, limit);
            assert_eq!(too_large, [long.len(), huge.len(), long.len()], "{piece}");
            assert_eq!(whole, kept, "{piece}");
        }
        let (whole, too_large) = parts(&stream, 7, limit - 1);
        assert_eq!((too_large.len(), whole), (4, ONE.repeat(3)));
    }

    #[test]
    fn a_part_has_no_more_entries_than_asked_for() {
        let stream = b"A=1\n\n".repeat(7);
        let mut framer = Framer::new(100, 3);
        assert_eq!(framer.next(&stream), Ok(Part::Entries(15)));
        assert_eq!(framer.next(&stream[15..]), Ok(Part::Entries(15)));
        assert_eq!(framer.next(&stream[30..]), Ok(Part::Entries(5)));
        assert_eq!(framer.next(b""), Ok(Part::Incomplete));
    }

    #[test]
    fn no_byte_is_looked_at_twice() {
        let mut framer = Framer::new(1 << 20, 10);
        let mut buffer = b"MESSAGE=".to_vec();
        for _ in 0..10_000 {
            buffer.extend(b"xxxxxxxxxx");
            assert_eq!(framer.next(&buffer), Ok(Part::Incomplete));
            assert_eq!(framer.scanned, buffer.len());
        }
        buffer.extend(b"\n\nB=1");
        assert_eq!(framer.next(&buffer), Ok(Part::Entries(buffer.len() - 3)));
        assert_eq!(framer.scanned, 3);
    }

    #[test]
    fn a_body_may_end_without_an_empty_line_but_not_within_a_binary_field() {
        for (rest, expected) in [
            (&b"A=1\nB=2\n"[..], Ok(Part::Entries(8))),
            (b"A=1\nB=2", Ok(Part::Entries(7))),
            (b"A=1\nB", Err(cut_off())),
            (b"B\n", Err(cut_off())),
            (b"B\n\x02\0\0\0\0\0\0\0x", Err(cut_off())),
            (b"B\n\x01\0\0\0\0\0\0\0x", Err(cut_off())),
            (b"B\n\x01\0\0\0\0\0\0\0x\n", Ok(Part::Entries(12))),
        ] {
            let mut framer = Framer::new(100, 10);
            assert_eq!(framer.next(rest), Ok(Part::Incomplete));
            assert_eq!(framer.finish(rest), expected, "{rest:?}");
        }
    }

    #[test]
    fn a_stream_that_lost_its_frames_is_refused() {
        for (stream, expected) in [
            (
                &b"what is this\nno journal, certainly\n"[..],
                field_too_long(u64::from_le_bytes(*b"no journ")),
            ),
            (b"A\n\x01\0\0\0\0\0\0\0xy\n", no_line_feed()),
            (b"A\n\0\0\0\0\0\0\0\0x\n", no_line_feed()),
            (
                b"A\n\xff\xff\xff\xff\xff\xff\xff\xff",
                field_too_long(u64::MAX),
            ),
        ] {
            let mut framer = Framer::new(100, 10);
            assert_eq!(framer.next(stream), Err(expected.clone()));
            assert_eq!(framer.next(stream), Err(expected));
        }
    }
}
