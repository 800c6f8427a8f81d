//! The attributes that all records of a message, or of a group in it, have in
//! common.
//!
//! Fluent Bit keeps what it receives by OTLP in groups: the entry that starts one
//! has the resource and the scope of the records that follow. Their attributes
//! get the names that they have when they come by OTLP. What another kind of
//! group says is left out.

use bytes::Bytes;
use sluice_types::attributes::{Attribute, SharedAttributes};
use sluice_types::excerpt::excerpt;
use sluice_types::record::{Text, Value, keep_last_of_repeated, overhead};

use super::fault::Fault;
use super::fields;
use super::json_text::JsonText;
use super::msgpack::{Reader, Token};
use crate::meter::Meter;

/// The attribute that has the tag of a message.
const TAG: Text = Text::from_static("fluent.tag");
/// The most attributes of a group.
pub(super) const GROUP_ATTRIBUTES_MAX: usize = 512;
/// What a byte that is not UTF-8 becomes at most, in bytes.
const REPLACED_BYTES: usize = 3;
/// The most characters of a name in a reason.
const NAME_CHARS: usize = 40;

/// What records have in common outside of groups: the tag. It is missing if there
/// is no memory for it, which ends the work in any case.
pub(super) fn of_tag(tag: &[u8], meter: &mut Meter) -> SharedAttributes {
    let bytes = tag.len().saturating_mul(2 * REPLACED_BYTES);
    let mut attributes = Vec::new();
    if meter.charge(overhead(1).saturating_add(bytes)) {
        let tag = String::from_utf8_lossy(tag).into_owned();
        attributes.push((TAG, Value::Text(tag.into())));
    }
    SharedAttributes::new(attributes)
}

/// Reads the record of the entry that starts a group, and returns what the
/// records of the group have in common with it, in ascending order of name:
/// `outside` is what the records outside of it have.
///
/// # Errors
/// What is wrong, worded for the producer.
pub(super) fn of_group(
    bytes: &[u8],
    whole: &Bytes,
    outside: &SharedAttributes,
    json: &mut JsonText,
    meter: &mut Meter,
) -> Result<SharedAttributes, String> {
    let mut group = Group {
        whole,
        json,
        meter,
        attributes: outside.list().to_vec(),
    };
    group.read(bytes).map_err(|error| match error {
        Problem::Fault(fault) => format!("a group: {fault}"),
        Problem::At(name, fault) => {
            format!("a group's {:?}: {fault}", excerpt(&name, NAME_CHARS))
        }
        Problem::TooMany => format!("a group has more than {GROUP_ATTRIBUTES_MAX} attributes"),
    })?;
    let mut attributes = group.attributes;
    keep_last_of_repeated(&mut attributes);
    attributes.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    // A copy of all, and the list.
    let texts: usize = attributes.iter().map(bytes_of).sum();
    match meter.charge(overhead(attributes.len()).saturating_add(texts)) {
        true => Ok(SharedAttributes::new(attributes)),
        false => Err(Fault::Stopped.to_string()),
    }
}

fn bytes_of((name, value): &Attribute) -> usize {
    name.len()
        + match value {
            Value::Text(text) | Value::Json(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => 0,
        }
}

/// Why a group cannot be read.
enum Problem {
    Fault(Fault),
    At(String, Fault),
    TooMany,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct Group<'a, 'm> {
    whole: &'a Bytes,
    json: &'m mut JsonText,
    meter: &'m mut Meter,
    attributes: Vec<Attribute>,
}

impl Group<'_, '_> {
    /// `{"resource": {"attributes": {…}}, "scope": {"name", "version",
    /// "attributes": {…}}}`, with more that does not matter.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        each_field(bytes, |name, value| match name {
            b"resource" => each_field(value, |name, value| match name {
                b"attributes" => self.add_all("resource.", value),
                _ => Ok(()),
            }),
            b"scope" => each_field(value, |name, value| match name {
                b"name" | b"version" => self.add("scope.", name, value),
                b"attributes" => self.add_all("scope.", value),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn add_all(&mut self, start: &str, bytes: &[u8]) -> Result<(), Problem> {
        each_field(bytes, |name, value| self.add(start, name, value))
    }

    fn add(&mut self, start: &str, name: &[u8], bytes: &[u8]) -> Result<(), Problem> {
        if self.attributes.len() > GROUP_ATTRIBUTES_MAX {
            return Err(Problem::TooMany);
        }
        let length = start.len() + name.len().saturating_mul(REPLACED_BYTES);
        if !self.meter.charge(length.saturating_add(overhead(1))) {
            return Err(Fault::Stopped.into());
        }
        let name = format!("{start}{}", String::from_utf8_lossy(name));
        let mut reader = Reader::new(bytes);
        let value = reader
            .value()
            .and_then(|token| fields::value(self.whole, self.json, token, &mut reader, self.meter));
        match value {
            Ok(value) => self.attributes.push((name.into(), value)),
            Err(fault) => return Err(Problem::At(name, fault)),
        }
        Ok(())
    }
}

/// Calls a function with name and value of each field of a map, as their bytes.
/// Names that are no texts are passed over, and so is what is no map.
fn each_field(
    map: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut reader = Reader::new(map);
    if let Token::Map(length) = reader.value()? {
        for _ in 0..length {
            let name = reader.skip()?;
            let value = reader.skip()?;
            if let Token::Str(name) | Token::Bin(name) = Reader::new(name).value()? {
                each(name, value)?;
            }
        }
    }
    Ok(())
}
