//! Reads the fields of a JSON object.

use super::fields::Field;
use super::scanner::{Scanned, Scanner};
use super::share::number_or_text;
use crate::meter::Meter;
use sluice_types::record::{Text, Value};

/// Why the fields of an object were not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// There are more than were asked for.
    TooMany,
    /// It is no object, worded for the producer.
    Invalid(String),
}

impl<T: Into<String>> From<T> for ObjectError {
    fn from(reason: T) -> Self {
        Self::Invalid(format!("not a JSON object: {}", reason.into()))
    }
}

/// Appends at most `most` fields of an object to `fields`, in their order. The
/// object is a part of `whole`. Charges texts that share no memory with it.
pub(crate) fn read(
    whole: &Text,
    json: &str,
    most: usize,
    fields: &mut Vec<Field>,
    meter: &mut Meter,
) -> Result<(), ObjectError> {
    let most = fields.len().saturating_add(most);
    let mut scanner = Scanner::new(json);
    scanner.enter()?;
    while let Some(name) = scanner.name()? {
        if fields.len() >= most {
            return Err(ObjectError::TooMany);
        }
        let name = name.text(whole, meter)?;
        fields.push((name, value(scanner.value()?, whole, meter)?));
    }
    Ok(scanner.end()?)
}

fn value(scanned: Scanned<'_>, whole: &Text, meter: &mut Meter) -> Result<Value, String> {
    Ok(match scanned {
        Scanned::Text(text) => Value::Text(text.text(whole, meter)?),
        Scanned::Boolean(boolean) => Value::Boolean(boolean),
        Scanned::Number(json) => number_or_text(json, whole),
        Scanned::Other(json) => Value::Json(whole.slice_ref(json)),
    })
}
