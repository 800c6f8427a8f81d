//! Splits a body into fields, and names them.

use std::collections::HashMap;

use super::framer::{FIELD_BYTES_MAX, LENGTH_BYTES, cut_off, field_too_long, no_line_feed};
use crate::error::DecodeError;
use crate::meter::Meter;
use sluice_types::excerpt::excerpt;
use sluice_types::record::Text;

/// The longest name of a field, in bytes, as the journal has it.
const NAME_BYTES_MAX: usize = 64;
/// What a known name takes besides its text, in bytes: its place in the table,
/// which grows by doubling, and the bookkeeping of the text.
const NAME_OVERHEAD: usize = 192;
/// With more known names than this, they are forgotten.
const NAMES_MAX: usize = 1024;
/// The most characters of a wrong name in a reason.
const SHOWN_CHARS: usize = 40;
const PREFIX: &str = "journald.";

/// What comes next in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A field of the entry.
    Field { name: &'a [u8], value: &'a [u8] },
    /// The empty line at the end of an entry.
    End,
}

/// Reads one item after the other.
#[derive(Debug)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What is not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether a field comes next; skips empty lines.
    pub(super) fn has_entry(&mut self) -> bool {
        while let Some(rest) = self.rest.strip_prefix(b"\n") {
            self.rest = rest;
        }
        !self.rest.is_empty()
    }

    /// The next item. The end of the body ends an entry too.
    pub(super) fn next(&mut self) -> Result<Item<'a>, DecodeError> {
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(at) => (self.rest.get(..at), self.rest.get(at + 1..)),
            None => (Some(self.rest), None),
        };
        let line = line.unwrap_or_default();
        if line.is_empty() {
            self.rest = rest.unwrap_or_default();
            return Ok(Item::End);
        }
        if let Some(equals) = memchr::memchr(b'=', line) {
            self.rest = rest.unwrap_or_default();
            return Ok(Item::Field {
                name: line.get(..equals).unwrap_or_default(),
                value: line.get(equals + 1..).unwrap_or_default(),
            });
        }
        self.binary(line, rest.ok_or_else(cut_off)?)
    }

    /// A binary field of this name, whose length comes next.
    fn binary(&mut self, name: &'a [u8], rest: &'a [u8]) -> Result<Item<'a>, DecodeError> {
        let length = rest.split_first_chunk::<{ LENGTH_BYTES as usize }>();
        let (length, rest) = length.ok_or_else(cut_off)?;
        let length = u64::from_le_bytes(*length);
        if length > FIELD_BYTES_MAX {
            return Err(field_too_long(length));
        }
        let length = usize::try_from(length).map_err(|_| cut_off())?;
        let (value, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = match rest.split_first() {
            Some((b'\n', rest)) => rest,
            Some(_) => return Err(no_line_feed()),
            None => return Err(cut_off()),
        };
        Ok(Item::Field { name, value })
    }
}

/// The names of attributes for those of fields, which are the same in most entries
/// of a body.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    known: HashMap<&'a [u8], Known>,
    /// Counts the entries.
    entry: u64,
}

#[derive(Debug)]
struct Known {
    attribute: Text,
    /// The last entry with this name, and its first place there.
    entry: u64,
    place: usize,
}

impl<'a> Names<'a> {
    /// Begins the next entry.
    pub(super) fn begin_entry(&mut self) {
        self.entry += 1;
        if self.known.len() > NAMES_MAX {
            self.forget();
        }
    }

    /// Forgets all names, because what was charged for them is given back.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The attribute for the field of this name at this place in the entry, and
    /// the first place of the same name. Charges a name that is new.
    pub(super) fn attribute(
        &mut self,
        name: &'a [u8],
        place: usize,
        meter: &mut Meter,
    ) -> Result<(Text, usize), String> {
        if let Some(known) = self.known.get_mut(name) {
            if known.entry != self.entry {
                (known.entry, known.place) = (self.entry, place);
            }
            return Ok((known.attribute.clone(), known.place));
        }
        let attribute = attribute(name)?;
        if !meter.charge(NAME_OVERHEAD + attribute.len()) {
            return Err("stopped".to_owned());
        }
        let known = Known {
            attribute: attribute.clone(),
            entry: self.entry,
            place,
        };
        self.known.insert(name, known);
        Ok((attribute, place))
    }
}

/// The name of the attribute for a field.
fn attribute(name: &[u8]) -> Result<Text, String> {
    let is_known = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.iter().all(is_known) {
        let shown = name.get(..4 * SHOWN_CHARS).unwrap_or(name);
        return Err(format!(
            "{:?} cannot be the name of a field",
            excerpt(&String::from_utf8_lossy(shown), SHOWN_CHARS)
        ));
    }
    let lower = name
        .iter()
        .map(|byte| char::from(byte.to_ascii_lowercase()));
    let attribute: String = PREFIX.chars().chain(lower).collect();
    Ok(Text::from(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    #[test]
    fn a_name_is_made_and_charged_once() {
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let mut names = Names::default();
        let entries: [[&[u8]; 3]; 2] = [[b"_PID", b"UNIT", b"_PID"], [b"UNIT", b"_PID", b"UNIT"]];
        for entry in entries {
            names.begin_entry();
            let mut attributes = Vec::new();
            for (place, name) in entry.into_iter().enumerate() {
                let (attribute, first) = names.attribute(name, place, &mut meter).unwrap();
                attributes.push(attribute);
                assert_eq!(first, place % 2);
            }
            let [first, second, third] = &attributes[..] else {
                panic!("{attributes:?}")
            };
            assert_eq!((first, first.len() + second.len()), (third, 26));
        }
        let texts = "journald._pid".len() + "journald.unit".len();
        assert_eq!((texts, meter.charged()), (26, 2 * NAME_OVERHEAD + 26));
    }

    #[test]
    fn what_the_journal_allows_no_name_to_be_is_named() {
        for name in [&b""[..], b"a", b"A B", b"A-B", b"\xff", &[b'A'; 65]] {
            let reason = attribute(name).unwrap_err();
            assert!(reason.len() < 100, "{reason}");
        }
        assert!(attribute(&vec![b'\n'; 1 << 20]).unwrap_err().len() < 200);
        assert_eq!(attribute(&[b'A'; 64]).unwrap().len(), PREFIX.len() + 64);
    }
}
