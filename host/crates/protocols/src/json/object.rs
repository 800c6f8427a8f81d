//! Reads the fields of a JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::Field;
use super::share::Share;
use crate::meter::Meter;
use sluice_types::record::Text;

/// Why the fields of an object were not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// There are more than were asked for.
    TooMany,
    /// It is no object, worded for the producer.
    Invalid(String),
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
    // The error for another type would repeat the whole value.
    if !json.trim_ascii_start().starts_with('{') {
        return Err(ObjectError::Invalid("not a JSON object".to_owned()));
    }
    let mut is_excessive = false;
    let visitor = Fields {
        share: Share { whole, meter },
        most: fields.len().saturating_add(most),
        fields,
        is_excessive: &mut is_excessive,
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = deserializer
        .deserialize_map(visitor)
        .and_then(|()| deserializer.end());
    if is_excessive {
        return Err(ObjectError::TooMany);
    }
    read.map_err(|error| ObjectError::Invalid(format!("not a JSON object: {error}")))
}

/// Collects the fields in their order.
struct Fields<'a> {
    share: Share<'a>,
    /// The most fields of the list.
    most: usize,
    fields: &'a mut Vec<Field>,
    /// Set if there are too many.
    is_excessive: &'a mut bool,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            if self.fields.len() >= self.most {
                *self.is_excessive = true;
                return Err(A::Error::custom("too many fields"));
            }
            let raw: &RawValue = map.next_value()?;
            let field = (self.share.text(name)?, self.share.value(raw)?);
            self.fields.push(field);
        }
        Ok(())
    }
}

/// A field's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
