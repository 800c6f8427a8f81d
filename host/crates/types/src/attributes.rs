//! The attributes of a record.

use std::fmt;
use std::iter::Chain;
use std::slice::Iter;
use std::sync::Arc;

use crate::value::{Text, Value};

/// A name and its value.
pub type Attribute = (Text, Value);

/// Attributes that many records have in common, such as those of the resource
/// that all records of a request come from. Cloning copies none.
#[derive(Clone, Debug)]
pub struct SharedAttributes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    list: Vec<Attribute>,
    text_bytes: usize,
}

/// The attributes of a record: first what it shares with others, then its own.
/// No name is there twice.
#[derive(Clone, Default)]
pub struct Attributes {
    shared: Option<SharedAttributes>,
    own: Vec<Attribute>,
    /// The length of all texts. It is asked for several times on the way of a
    /// record.
    text_bytes: usize,
}

impl SharedAttributes {
    /// Copies the texts into memory of their own, so that they keep no request
    /// body.
    #[must_use]
    pub fn new(mut list: Vec<Attribute>) -> Self {
        detach(&mut list);
        let text_bytes = text_bytes(&list);
        Self(Arc::new(Shared { list, text_bytes }))
    }

    /// The attributes.
    #[must_use]
    pub fn list(&self) -> &[Attribute] {
        &self.0.list
    }
}

impl Attributes {
    /// What records have in common, and what one of them has besides. No name
    /// may be in both.
    #[must_use]
    pub fn with_shared(shared: &SharedAttributes, own: Vec<Attribute>) -> Self {
        let text_bytes = text_bytes(&own) + shared.0.text_bytes;
        let shared = (!shared.0.list.is_empty()).then(|| shared.clone());
        Self {
            shared,
            own,
            text_bytes,
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> Chain<Iter<'_, Attribute>, Iter<'_, Attribute>> {
        self.shared_list().iter().chain(&self.own)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared_list().len() + self.own.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them are the record's own.
    #[must_use]
    pub const fn own_len(&self) -> usize {
        self.own.len()
    }

    /// The length of all texts, in bytes. What is shared counts in full.
    #[must_use]
    pub const fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The record's own. Texts must keep their lengths.
    pub(crate) fn own_mut(&mut self) -> &mut [Attribute] {
        &mut self.own
    }

    fn shared_list(&self) -> &[Attribute] {
        self.shared.as_ref().map_or(&[], SharedAttributes::list)
    }
}

/// The length of all texts, in bytes.
fn text_bytes(attributes: &[Attribute]) -> usize {
    let of_one = |(name, value): &Attribute| name.len() + value.text_bytes();
    attributes.iter().map(of_one).sum()
}

/// Copies texts and bytes into memory of their own.
fn detach(attributes: &mut [Attribute]) {
    for (name, value) in attributes {
        *name = Text::from(&**name);
        match value {
            Value::Text(text) | Value::Json(text) => *text = Text::from(&**text),
            Value::Bytes(bytes) => *bytes = bytes::Bytes::copy_from_slice(bytes),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {}
        }
    }
}

impl From<Vec<Attribute>> for Attributes {
    fn from(own: Vec<Attribute>) -> Self {
        Self {
            shared: None,
            text_bytes: text_bytes(&own),
            own,
        }
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(own: I) -> Self {
        Vec::from_iter(own).into()
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = Chain<Iter<'a, Attribute>, Iter<'a, Attribute>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &'static str, value: i64) -> Attribute {
        (Text::from_static(name), Value::Integer(value))
    }

    #[test]
    fn shared_attributes_come_first_and_are_the_same_as_own_ones() {
        let shared = SharedAttributes::new(vec![attribute("a", 1), attribute("b", 2)]);
        let both = Attributes::with_shared(&shared, vec![attribute("c", 3)]);
        let own = vec![attribute("a", 1), attribute("b", 2), attribute("c", 3)];
        assert_eq!(both, Attributes::from(own));
        assert_eq!((both.len(), both.own_len(), both.text_bytes()), (3, 1, 3));
        assert_ne!(both, Attributes::with_shared(&shared, Vec::new()));
    }

    #[test]
    fn shared_attributes_keep_no_request_body() {
        let body = Text::from("a body, and much more".to_owned());
        let part = body.slice_ref(&body[2..6]);
        let values = [
            Value::Text(part.clone()),
            Value::Bytes(part.clone().into_bytes()),
        ];
        let attributes = values.map(|value| (part.clone(), value)).to_vec();
        let shared = SharedAttributes::new(attributes.clone());
        assert_eq!(shared.list(), attributes);
        let range = body.as_bytes().as_ptr_range();
        for (name, value) in shared.list() {
            assert!(!range.contains(&name.as_bytes().as_ptr()));
            match value {
                Value::Text(text) => assert!(!range.contains(&text.as_bytes().as_ptr())),
                Value::Bytes(bytes) => assert!(!range.contains(&bytes.as_ptr())),
                other => panic!("{other:?}"),
            }
        }
    }
}
