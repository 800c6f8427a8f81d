//! Lines of all records in one piece.

use std::ops::Deref;

/// One line per record, each with a line feed at its end. Derefs to the bytes, to
/// be written as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<u8>);

impl Lines {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The lines in the order of the records, without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        // What follows the last line feed is no line.
        let whole = self.0.strip_suffix(b"\n");
        whole
            .into_iter()
            .flat_map(|all| all.split(|byte| *byte == b'\n'))
    }

    /// All lines, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Deref for Lines {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_their_ends() {
        let lines = |bytes: &str| -> Vec<String> {
            let lines = Lines::new(bytes.as_bytes().to_vec());
            let lines = lines.lines();
            lines.map(|l| String::from_utf8_lossy(l).into()).collect()
        };
        assert_eq!(lines("one\n\nthree\n"), ["one", "", "three"]);
        assert_eq!(lines("\n"), [""]);
        assert!(lines("").is_empty());
    }
}
