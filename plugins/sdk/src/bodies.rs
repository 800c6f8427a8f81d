//! Divides a batch into bodies of bounded size, which remember their records.
//!
//! ```
//! # use sluice_sink::testing::{batch, record};
//! use sluice_sink::bodies::{Bodies, Framing};
//! use sluice_sink::json;
//!
//! # let batch = batch([record("one"), record("two")]);
//! let mut bodies = Bodies::new(1 << 20, 1000).framing(Framing::JSON_ARRAY);
//! for row in &batch.rows() {
//!     bodies.push(row.index(), |out| json::string(row.body(), out));
//! }
//! for body in bodies.finish() {
//!     assert_eq!(body.bytes, b"[\"one\",\"two\"]");
//!     assert_eq!(body.records, [0, 1]);
//! }
//! ```
//!
//! A destination that wants records grouped, such as by labels, gets one `Bodies`
//! per group.

use crate::Lines;

/// A part of a batch as the destination gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// The indices of the records in it.
    pub records: Vec<usize>,
}

/// What surrounds the records of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// In front of the first record.
    pub before: &'static str,
    /// Between two records.
    pub between: &'static str,
    /// Behind the last record.
    pub after: &'static str,
}

impl Framing {
    /// Nothing: the records bring their own ends.
    pub const NONE: Self = Self {
        before: "",
        between: "",
        after: "",
    };

    /// `[`, commas and `]`.
    pub const JSON_ARRAY: Self = Self {
        before: "[",
        between: ",",
        after: "]",
    };
}

/// Collects records into bodies.
#[derive(Clone, Debug)]
pub struct Bodies {
    max_bytes: usize,
    max_records: usize,
    framing: Framing,
    done: Vec<Body>,
    current: Body,
}

impl Bodies {
    /// Bodies of at most so many bytes and records. A record that is larger on its
    /// own gets a body of its own; the destination says whether it takes it.
    #[must_use]
    pub fn new(max_bytes: usize, max_records: usize) -> Self {
        Self {
            max_bytes,
            max_records: max_records.max(1),
            framing: Framing::NONE,
            done: Vec::new(),
            current: Body::default(),
        }
    }

    /// Puts this around the records. It counts among the bytes.
    #[must_use]
    pub const fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Adds the record at `index` of the batch, which `write` appends to the
    /// buffer that it gets. It must not change what is there.
    pub fn push(&mut self, index: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.current.records.len() >= self.max_records {
            self.end();
        }
        let framing = self.framing;
        let start = self.current.bytes.len();
        let is_first = self.current.records.is_empty();
        let glue = if is_first {
            framing.before
        } else {
            framing.between
        };
        self.current.bytes.extend_from_slice(glue.as_bytes());
        let after_glue = self.current.bytes.len();
        write(&mut self.current.bytes);
        let size = self.current.bytes.len() + framing.after.len();
        if size > self.max_bytes && !is_first {
            let record = self.current.bytes.split_off(after_glue.min(size));
            self.current.bytes.truncate(start);
            self.end();
            self.current
                .bytes
                .extend_from_slice(framing.before.as_bytes());
            self.current.bytes.extend_from_slice(&record);
        }
        self.current.records.push(index);
    }

    /// The bodies, in the order of their first records.
    #[must_use]
    pub fn finish(mut self) -> Vec<Body> {
        self.end();
        self.done
    }

    /// Divides the lines of a batch. Lines that fit into one body are not copied.
    #[must_use]
    pub fn of_lines(lines: Lines, max_bytes: usize, max_records: usize) -> Vec<Body> {
        let count = lines.count();
        if count == 0 {
            return Vec::new();
        }
        if lines.len() <= max_bytes && count <= max_records {
            let records = (0..count).collect();
            let bytes = lines.into_bytes();
            return vec![Body { bytes, records }];
        }
        let mut bodies = Self::new(max_bytes, max_records);
        bodies.current.bytes.reserve(max_bytes.min(lines.len()));
        for (index, line) in lines.lines().enumerate() {
            bodies.push(index, |out| {
                out.extend_from_slice(line);
                out.push(b'\n');
            });
        }
        bodies.finish()
    }

    fn end(&mut self) {
        if self.current.records.is_empty() {
            return;
        }
        let after = self.framing.after.as_bytes();
        self.current.bytes.extend_from_slice(after);
        self.done.push(std::mem::take(&mut self.current));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bodies: &[Body]) -> Vec<(&str, &[usize])> {
        let text_of = bodies.iter().map(|body| {
            let text = std::str::from_utf8(&body.bytes).unwrap();
            (text, body.records.as_slice())
        });
        text_of.collect()
    }

    fn divide(framing: Framing, max_bytes: usize, max_records: usize) -> Vec<Body> {
        let mut bodies = Bodies::new(max_bytes, max_records).framing(framing);
        for (index, text) in ["aa", "bbb", "c", "dddddddd", "e"].iter().enumerate() {
            bodies.push(index + 10, |out| out.extend_from_slice(text.as_bytes()));
        }
        bodies.finish()
    }

    #[test]
    fn bodies_have_at_most_so_many_bytes() {
        assert_eq!(
            texts(&divide(Framing::JSON_ARRAY, 9, 100)),
            [
                ("[aa,bbb]", &[10, 11][..]),
                ("[c]", &[12]),
                ("[dddddddd]", &[13]),
                ("[e]", &[14]),
            ]
        );
        assert_eq!(
            texts(&divide(Framing::NONE, 6, 100)),
            [
                ("aabbbc", &[10, 11, 12][..]),
                ("dddddddd", &[13]),
                ("e", &[14]),
            ]
        );
    }

    #[test]
    fn bodies_have_at_most_so_many_records() {
        let bodies = divide(Framing::JSON_ARRAY, 1000, 2);
        assert_eq!(
            texts(&bodies),
            [
                ("[aa,bbb]", &[10, 11][..]),
                ("[c,dddddddd]", &[12, 13]),
                ("[e]", &[14]),
            ]
        );
        assert_eq!(divide(Framing::NONE, 1000, 0).len(), 5);
        assert!(Bodies::new(1, 1).finish().is_empty());
    }

    #[test]
    fn lines_are_divided_between_lines() {
        let lines = || Lines::new(b"one\ntwo\nthree\nfour\n".to_vec(), 4);
        assert_eq!(
            texts(&Bodies::of_lines(lines(), 100, 100)),
            [("one\ntwo\nthree\nfour\n", &[0, 1, 2, 3][..])]
        );
        let expected = [
            ("one\ntwo\n", &[0, 1][..]),
            ("three\n", &[2]),
            ("four\n", &[3]),
        ];
        assert_eq!(texts(&Bodies::of_lines(lines(), 8, 100)), expected);
        assert!(Bodies::of_lines(Lines::default(), 8, 100).is_empty());
        let by_records = Bodies::of_lines(lines(), 100, 2);
        assert_eq!(by_records[1].records, [2, 3]);
    }
}
