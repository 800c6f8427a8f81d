//! Objects and arrays, read without building them.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::otlp::invalid::Invalid;

/// What reads the fields of an object.
pub(super) trait Fields<'de> {
    /// The names that it knows, and one for all others.
    type Name: Deserialize<'de>;
    /// What the object is, in words for the producer.
    const WHAT: &'static str;

    /// Called before the first field. Null is not opened.
    fn open(&mut self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Reads the value of the field with this name.
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: Self::Name,
        values: &mut A,
    ) -> Result<(), A::Error>;
}

/// What reads the elements of an array.
pub(super) trait Elements<'de> {
    /// What the array is, in words for the producer.
    const WHAT: &'static str;

    /// Reads the next element. False if there is none.
    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error>;
}

impl<'de, T: Fields<'de>> Fields<'de> for &mut T {
    type Name = T::Name;
    const WHAT: &'static str = T::WHAT;

    fn open(&mut self) -> Result<(), Invalid> {
        (**self).open()
    }

    fn field<A: MapAccess<'de>>(&mut self, name: T::Name, values: &mut A) -> Result<(), A::Error> {
        (**self).field(name, values)
    }
}

impl<'de, T: Elements<'de>> Elements<'de> for &mut T {
    const WHAT: &'static str = T::WHAT;

    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error> {
        (**self).element(elements)
    }
}

/// Reads an object, or null for one without fields.
pub(super) struct Object<T>(pub(super) T);

/// Reads an array, or null for one without elements.
pub(super) struct Array<T>(pub(super) T);

impl<'de, T: Fields<'de>> DeserializeSeed<'de> for Object<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<T, A::Error> {
        self.0.open().map_err(A::Error::custom)?;
        while let Some(name) = map.next_key()? {
            self.0.field(name, &mut map)?;
        }
        Ok(self.0)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Err(not_a_text(&self))
    }
}

impl<'de, T: Elements<'de>> DeserializeSeed<'de> for Array<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Elements<'de>> Visitor<'de> for Array<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array ({})", T::WHAT)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<T, A::Error> {
        while self.0.element(&mut elements)? {}
        Ok(self.0)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(self.0)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Err(not_a_text(&self))
    }
}

/// The usual error would repeat the text, however long it is.
fn not_a_text<'de, E: Error>(expected: &impl Visitor<'de>) -> E {
    E::invalid_type(serde::de::Unexpected::Other("a text"), expected)
}
