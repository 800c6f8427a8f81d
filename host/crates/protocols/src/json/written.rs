//! The fields of an object as they are written, until it is known what each of
//! them is to the record. Only then are they made to attributes, in one step.

use std::collections::HashMap;

use sluice_types::attributes::Attribute;
use sluice_types::record::{Text, Value};

use crate::json::scanner::{Quoted, Scanned};
use crate::json::share::number_or_text;
use crate::meter::Meter;

/// How many different hashes of names there are, as a power of two.
const HASH_BITS: u32 = 10;

/// The fields of an object.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    list: Vec<(Characters<'a>, Written<'a>)>,
    /// The texts that had escapes.
    unescaped: Vec<Text>,
}

/// What a field has, as far as it is known before it is an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValue<'f> {
    Text(&'f str),
    /// As it is written.
    Number(&'f str),
    Boolean(bool),
    /// An object, an array or null, as it is written.
    Other(&'f str),
}

/// A text without its escapes.
#[derive(Clone, Copy, Debug)]
enum Characters<'a> {
    /// A part of the document.
    Plain(&'a str),
    /// The place in the list of texts that had escapes.
    Unescaped(usize),
}

/// A value without its escapes.
#[derive(Clone, Copy, Debug)]
enum Written<'a> {
    Text(Characters<'a>),
    Number(&'a str),
    Boolean(bool),
    Other(&'a str),
}

impl<'a> Characters<'a> {
    fn of<'f>(self, unescaped: &'f [Text]) -> &'f str
    where
        'a: 'f,
    {
        match self {
            Self::Plain(plain) => plain,
            Self::Unescaped(at) => unescaped.get(at).map_or("", |text| text),
        }
    }
}

impl<'a> Written<'a> {
    fn of<'f>(self, unescaped: &'f [Text]) -> FieldValue<'f>
    where
        'a: 'f,
    {
        match self {
            Self::Text(text) => FieldValue::Text(text.of(unescaped)),
            Self::Number(json) => FieldValue::Number(json),
            Self::Boolean(boolean) => FieldValue::Boolean(boolean),
            Self::Other(json) => FieldValue::Other(json),
        }
    }
}

impl FieldValue<'_> {
    pub(crate) fn is_null(self) -> bool {
        self == Self::Other("null")
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.unescaped.clear();
    }

    pub(crate) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a field of a document in `whole`, and charges its escaped texts.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        name: Quoted<'a>,
        value: Scanned<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<(), String> {
        let name = self.characters(name, whole, meter)?;
        let value = match value {
            Scanned::Text(text) => Written::Text(self.characters(text, whole, meter)?),
            Scanned::Number(json) => Written::Number(json),
            Scanned::Boolean(boolean) => Written::Boolean(boolean),
            Scanned::Other(json) => Written::Other(json),
        };
        self.list.push((name, value));
        Ok(())
    }

    #[inline(always)]
    fn characters(
        &mut self,
        quoted: Quoted<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<Characters<'a>, String> {
        match quoted {
            Quoted::Plain(plain) => Ok(Characters::Plain(plain)),
            Quoted::Escaped(_) => self.unescape(quoted, whole, meter),
        }
    }

    #[inline(never)]
    fn unescape(
        &mut self,
        quoted: Quoted<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<Characters<'a>, String> {
        self.unescaped.push(quoted.text(whole, meter)?);
        Ok(Characters::Unescaped(self.unescaped.len() - 1))
    }

    /// The names and values, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, FieldValue<'_>)> {
        let unescaped = &self.unescaped;
        let list = self.list.iter();
        list.map(move |(name, written)| (name.of(unescaped), written.of(unescaped)))
    }

    /// Keeps only the last value of each name, in the place of its first. Most
    /// documents have each name once, which the hashes show.
    pub(crate) fn keep_last_of_repeated(&mut self) {
        let mut seen = [0_u64; 1 << (HASH_BITS - 6)];
        let is_new = |(name, _): (&str, FieldValue<'_>)| {
            let hash = hash(name);
            seen.get_mut(hash >> 6).is_some_and(|word| {
                let bit = 1 << (hash & 63);
                let is_new = *word & bit == 0;
                *word |= bit;
                is_new
            })
        };
        if !self.iter().all(is_new) {
            self.keep_last();
        }
    }

    fn keep_last(&mut self) {
        // Of each field the place where its value goes to.
        let mut first_of = HashMap::with_capacity(self.list.len());
        let places: Vec<_> = self
            .iter()
            .map(|(name, _)| {
                let next = first_of.len();
                *first_of.entry(name).or_insert(next)
            })
            .collect();
        let mut kept = 0;
        for (from, to) in places.into_iter().enumerate() {
            let Some((name, value)) = self.list.get(from).copied() else {
                break;
            };
            if let Some(place) = self.list.get_mut(to) {
                // The names are equal if the place is not new.
                *place = (name, value);
            }
            kept = kept.max(to + 1);
        }
        self.list.truncate(kept);
    }

    /// What the field at this place has.
    pub(crate) fn value(&self, at: usize) -> Option<FieldValue<'_>> {
        let (_, written) = self.list.get(at)?;
        Some(written.of(&self.unescaped))
    }

    /// The text of the field at this place, or what it has as JSON text.
    pub(crate) fn any_text(&self, at: usize, whole: &Text) -> Text {
        let text = self.text(at, whole);
        text.unwrap_or_else(|| match self.list.get(at) {
            Some((_, Written::Other(json))) => whole.slice_ref(json),
            _ => Text::new(),
        })
    }

    /// The text of the field at this place, which shares the memory of `whole`
    /// unless it had escapes. Objects and arrays have none.
    pub(crate) fn text(&self, at: usize, whole: &Text) -> Option<Text> {
        match self.list.get(at)?.1 {
            Written::Text(text) => Some(self.shared(text, whole)),
            Written::Number(json) => Some(whole.slice_ref(json)),
            Written::Boolean(true) => Some(Text::from_static("true")),
            Written::Boolean(false) => Some(Text::from_static("false")),
            Written::Other(_) => None,
        }
    }

    /// Removes the fields at these places.
    pub(crate) fn remove<const N: usize>(&mut self, mut places: [Option<usize>; N]) {
        places.sort_unstable();
        for at in places.into_iter().rev().flatten() {
            if at < self.list.len() {
                self.list.remove(at);
            }
        }
    }

    /// Keeps the fields of which this is true.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str, FieldValue<'_>) -> bool) {
        let unescaped = &self.unescaped;
        let kept = |(name, written): &(Characters<'a>, Written<'a>)| {
            keep(name.of(unescaped), written.of(unescaped))
        };
        self.list.retain(kept);
    }

    /// The fields as attributes, in a list that is as large as it must be. They
    /// share the memory of `whole`.
    pub(crate) fn attributes(&self, whole: &Text) -> Vec<Attribute> {
        let list = self.list.iter();
        list.map(|(name, written)| self.attribute(*name, *written, whole))
            .collect()
    }

    #[inline(always)]
    fn attribute(&self, name: Characters<'a>, written: Written<'a>, whole: &Text) -> Attribute {
        let value = match written {
            Written::Text(text) => Value::Text(self.shared(text, whole)),
            Written::Number(json) => number_or_text(json, whole),
            Written::Boolean(boolean) => Value::Boolean(boolean),
            Written::Other(json) => Value::Json(whole.slice_ref(json)),
        };
        (self.shared(name, whole), value)
    }

    fn shared(&self, characters: Characters<'a>, whole: &Text) -> Text {
        match characters {
            Characters::Plain(plain) => whole.slice_ref(plain),
            Characters::Unescaped(at) => self.unescaped.get(at).cloned().unwrap_or_default(),
        }
    }
}

/// A hash of the length and of the first and last bytes.
fn hash(name: &str) -> usize {
    // Two to the 64th, divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = name.as_bytes();
    let mixed = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let first = u64::from_le_bytes(*first);
            first.rotate_left(7).wrapping_mul(SPREAD) ^ u64::from_le_bytes(*last)
        }
        _ => bytes
            .iter()
            .fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    };
    let hash = (mixed ^ bytes.len() as u64).wrapping_mul(SPREAD) >> (u64::BITS - HASH_BITS);
    usize::try_from(hash).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::scanner::Scanner;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn check(object: &str, work: impl FnOnce(&mut Fields<'_>, &Text)) {
        let whole = Text::from(object);
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let mut fields = Fields::default();
        let mut scanner = Scanner::new(&whole);
        scanner.enter().unwrap();
        while let Some(name) = scanner.name().unwrap() {
            let value = scanner.value().unwrap();
            fields.push(name, value, &whole, &mut meter).unwrap();
        }
        work(&mut fields, &whole);
    }

    #[test]
    fn values_keep_their_types_without_loss() {
        let object = r#"{"i":-7,"big":18446744073709551615,"f":1.5e3,"inf":1e999,"t":true,
            "s":"a\n\u00e9","p":"plain","\u006f":{"k": [1, 2]},"n":null}"#;
        check(object, |fields, whole| {
            let attributes = fields.attributes(whole);
            let expected = [
                ("i", Value::Integer(-7)),
                ("big", Value::Json("18446744073709551615".into())),
                ("f", Value::Float(1500.0)),
                ("inf", Value::Json("1e999".into())),
                ("t", Value::Boolean(true)),
                ("s", Value::Text("a\né".into())),
                ("p", Value::Text("plain".into())),
                ("o", Value::Json(r#"{"k": [1, 2]}"#.into())),
                ("n", Value::Json("null".into())),
            ];
            let expected = expected.map(|(name, value)| (Text::from(name), value));
            assert_eq!(attributes, expected);
            assert_eq!(attributes.capacity(), attributes.len());
            let text = |at| fields.text(at, whole).map(|text| text.to_string());
            let texts = [2, 4, 5, 6, 7].map(text);
            let expected = [
                Some("1.5e3"),
                Some("true"),
                Some("a\né"),
                Some("plain"),
                None,
            ];
            assert_eq!(texts, expected.map(|text| text.map(str::to_owned)));
            assert!(fields.iter().nth(8).unwrap().1.is_null());
        });
    }

    #[test]
    fn of_repeated_names_the_last_value_stays_at_the_first_place() {
        check(
            r#"{"a":1,"b":2,"\u0061":3,"c":4,"b":5,"a":6}"#,
            |fields, whole| {
                fields.keep_last_of_repeated();
                let expected = [("a", 6), ("b", 5), ("c", 4)];
                let expected = expected.map(|(name, n)| (Text::from(name), Value::Integer(n)));
                assert_eq!(fields.attributes(whole), expected);
            },
        );
    }

    #[test]
    fn names_that_are_not_repeated_are_all_kept() {
        for count in [0, 1, 7, 100, 1000] {
            let names = |n| format!("\"a name of {n} and more\":{n}");
            let object: Vec<_> = (0..count).map(names).collect();
            check(&format!("{{{}}}", object.join(",")), |fields, whole| {
                let before = fields.attributes(whole);
                fields.keep_last_of_repeated();
                assert_eq!(fields.attributes(whole), before);
                fields.keep_last();
                assert_eq!(fields.attributes(whole), before);
                assert_eq!(fields.len(), count);
            });
        }
    }

    #[test]
    fn what_is_used_otherwise_is_no_attribute() {
        check(r#"{"a":1,"b":2,"c":3,"d":4}"#, |fields, whole| {
            fields.remove([Some(3), None, Some(0)]);
            let left = fields.attributes(whole);
            let expected = [("b", 2), ("c", 3)];
            let expected = expected.map(|(name, n)| (Text::from(name), Value::Integer(n)));
            assert_eq!(left, expected);
            assert_eq!(left.capacity(), 2);
        });
    }
}
