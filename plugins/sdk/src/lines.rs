//! Lines of all records in one piece.

use std::ops::Deref;

use memchr::memchr;

/// One line per record, each with a line feed at its end. Derefs to the bytes, to
/// be written as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    bytes: Vec<u8>,
    count: usize,
}

impl Lines {
    pub(crate) const fn new(bytes: Vec<u8>, count: usize) -> Self {
        Self { bytes, count }
    }

    /// The number of lines.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The lines in the order of the records, without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (line, after) = rest.split_at_checked(memchr(b'\n', rest)?)?;
            rest = after.get(1..)?;
            Some(line)
        })
    }

    /// All lines, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Deref for Lines {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_their_ends() {
        let lines = |bytes: &str| -> Vec<String> {
            let lines = Lines::new(bytes.as_bytes().to_vec(), 0);
            let lines = lines.lines();
            lines.map(|l| String::from_utf8_lossy(l).into()).collect()
        };
        assert_eq!(lines("one\n\nthree\n"), ["one", "", "three"]);
        assert_eq!(lines("\n"), [""]);
        assert!(lines("").is_empty());
    }

    #[test]
    fn there_are_as_many_lines_as_records() {
        use crate::testing::{batch, record};
        let batch = batch([record("a\nb"), record(""), record("c")]);
        for lines in [batch.text_lines(), batch.json_lines()] {
            assert_eq!((lines.count(), lines.lines().count()), (3, 3));
        }
    }
}
