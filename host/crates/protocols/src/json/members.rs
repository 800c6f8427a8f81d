//! The members of objects, on their way into a record.

use super::cursor::{Cursor, Fault, Token};
use super::fields::Field;
use super::part::Parts;
use sluice_types::record::{Text, Value};

/// The most attributes of a record.
pub(crate) const ATTRIBUTES_MAX: usize = 1024;
/// The most members of an object: the attributes, and what becomes something else.
const MEMBERS_MAX: usize = ATTRIBUTES_MAX + 8;

/// Collects members. Its memory is used again for the next object.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// In the order in which they came.
    pub(crate) list: Vec<Field>,
    /// Why the record that they belong to is refused.
    refusal: Option<String>,
}

impl Members {
    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.refusal = None;
    }

    /// Why the record is refused, worded for the producer.
    pub(crate) fn refusal(&mut self) -> Result<(), String> {
        if self.list.len() > ATTRIBUTES_MAX {
            self.refuse(too_many());
        }
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// Refuses the record, whose text can still be read to its end. The first
    /// reason counts.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refusal.get_or_insert(reason);
    }

    /// Steps over an object, and adds its members.
    pub(crate) fn add_object(
        &mut self,
        cursor: &mut Cursor<'_>,
        parts: &mut Parts<'_>,
    ) -> Result<(), Fault> {
        let mut is_first = true;
        cursor.take(b'{');
        while let Some(name) = cursor.member(&mut is_first)? {
            let value = cursor.value()?;
            self.add(name, value, parts);
        }
        Ok(())
    }

    /// Adds a member under its own name.
    pub(crate) fn add(&mut self, name: Token<'_>, value: Token<'_>, parts: &mut Parts<'_>) {
        // If there is no memory for the name, the result does not count.
        if self.has_room()
            && let Some(name) = parts.name(name)
        {
            self.add_as(name, value, parts);
        }
    }

    /// Adds a value under another name.
    pub(crate) fn add_as(&mut self, name: Text, value: Token<'_>, parts: &mut Parts<'_>) {
        if self.has_room()
            && let Some(value) = parts.value(value)
        {
            self.list.push((name, value));
        }
    }

    /// Whether one more is kept; otherwise, the record is refused.
    fn has_room(&mut self) -> bool {
        if self.list.len() >= MEMBERS_MAX && self.refusal.is_none() {
            self.refuse(too_many());
        }
        self.refusal.is_none()
    }

    /// Removes all members of this name, and returns the value of the last one.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let is_named = |field: &&Field| field.0 == name;
        let value = self.list.iter().rfind(is_named)?.1.clone();
        self.list.retain(|field| !is_named(&field));
        Some(value)
    }
}

fn too_many() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer, or nest them")
}
