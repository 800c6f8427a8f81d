//! The fields of a record: which are attributes, and which are more than that.

use bytes::Bytes;
use sluice_types::attributes::{Attributes, SharedAttributes};
use sluice_types::excerpt::excerpt;
use sluice_types::record::{Text, Value};

use super::fault::{self, Fault};
use super::json_text::JsonText;
use super::msgpack::{Reader, Token};
use super::names::{Found, Named, Names, Role, Seen};
use crate::json::fields::{Field, as_text, merge_repeated};
use crate::meter::Meter;
use crate::text;

/// The most attributes of a record.
pub(super) const ATTRIBUTES_MAX: usize = 1024;
/// The most fields of a map: the attributes and text and severity.
const FIELDS_MAX: usize = ATTRIBUTES_MAX + 2;
/// The most characters of a field's name in a reason.
const NAME_CHARS: usize = 40;
/// The bytes of nil.
const NIL: &[u8] = b"\xc0";

/// The fields of a record that claim to be its text and its severity.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    pub(super) text: Claimed<'a>,
    pub(super) severity: Claimed<'a>,
}

/// The field that claims to be something, and what its value comes next in.
pub(super) type Claimed<'a> = Option<(Claim, Reader<'a>)>;

/// That a field claims to be more than an attribute.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The smallest one counts.
    rank: u8,
    pub(super) name: Text,
}

/// Gathers the fields of one record after the other.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// What all entries are a part of.
    whole: &'a Bytes,
    /// What the records have in common, in ascending order of name.
    shared: SharedAttributes,
    /// The attributes of the record that is being read.
    list: Vec<Field>,
    /// How many attributes the record before had. The next one usually has as
    /// many.
    expected: usize,
    names: Names<'a>,
    json: JsonText,
    /// Whether any record is a piece of a long line.
    has_pieces: bool,
}

impl<'a> Fields<'a> {
    /// Of records that are a part of `whole`, and have these attributes in common.
    pub(super) fn new(whole: &'a Bytes, shared: SharedAttributes) -> Self {
        Self {
            whole,
            shared,
            list: Vec::new(),
            expected: 0,
            names: Names::default(),
            json: JsonText::default(),
            has_pieces: false,
        }
    }

    /// From now on, the records have these attributes in common.
    pub(super) fn share(&mut self, shared: SharedAttributes) {
        self.shared = shared;
    }

    /// Whether any record was a piece of a long line.
    pub(super) const fn has_pieces(&self) -> bool {
        self.has_pieces
    }

    /// Memory to write JSON with, which is used again and again.
    pub(super) fn json(&mut self) -> &mut JsonText {
        &mut self.json
    }

    /// Begins with another record.
    pub(super) fn start(&mut self) {
        self.list = Vec::with_capacity(self.expected);
    }

    /// The attributes that were added.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn finish(&mut self) -> Result<Attributes, String> {
        if self.list.len() + self.shared.list().len() > ATTRIBUTES_MAX {
            return Err(too_many_attributes());
        }
        let mut own = std::mem::take(&mut self.list);
        own.shrink_to_fit();
        self.expected = own.len();
        Ok(Attributes::with_shared(&self.shared, own))
    }

    /// Reads the fields of a map. Those that claim to be the text or the severity
    /// are returned.
    pub(super) fn read(
        &mut self,
        length: usize,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<Claims<'a>, String> {
        if length > FIELDS_MAX {
            return Err(too_many_attributes());
        }
        let mut claims = Claims::default();
        let mut seen = Seen::default();
        for _ in 0..length {
            let token = reader.value().map_err(fault::in_record)?;
            let (name, role) = match self.known(token) {
                Some(found) => {
                    seen.add(found.role, found.bit);
                    (found.name.clone(), found.role)
                }
                None => {
                    let Named { name, role, bit } =
                        self.name(token, meter).map_err(fault::in_record)?;
                    seen.add(role, bit);
                    (name, role)
                }
            };
            match role {
                Role::Text(rank) => {
                    let claim = Claim { rank, name };
                    self.claim(claim, &mut claims.text, reader, meter)?;
                }
                Role::Severity(rank) => {
                    let claim = Claim { rank, name };
                    self.claim(claim, &mut claims.severity, reader, meter)?;
                }
                other => self.add_next(name, other, reader, meter)?,
            }
        }
        if seen.may_repeat() {
            merge_repeated(&mut self.list);
        }
        Ok(claims)
    }

    /// Lets a field, whose value comes next in the reader, be more than an
    /// attribute, unless one of a smaller rank is. Of the same name, the last one
    /// counts.
    fn claim(
        &mut self,
        claim: Claim,
        claimed: &mut Claimed<'a>,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<(), String> {
        let value = *reader;
        let skipped = reader.skip();
        if skipped.map_err(|fault| in_field(&claim.name, fault))? == NIL {
            return Ok(());
        }
        let other = match claimed {
            Some((earlier, _)) if earlier.rank < claim.rank => Some((claim, value)),
            _ => {
                let rank = claim.rank;
                let earlier = claimed.replace((claim, value));
                earlier.filter(|(earlier, _)| earlier.rank > rank)
            }
        };
        match other {
            Some((claim, mut value)) => self.add_next(claim.name, Role::Plain, &mut value, meter),
            None => Ok(()),
        }
    }

    /// Adds an attribute whose value comes next in the reader.
    #[inline]
    pub(super) fn add_next(
        &mut self,
        name: Text,
        role: Role,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<(), String> {
        match (role, reader.value()) {
            (Role::Plain | Role::Renamed, Ok(Token::Str(bytes))) => {
                self.add_text(name, bytes);
                Ok(())
            }
            (role, token) => {
                let value = token.and_then(|token| self.value(token, reader, meter));
                let value = value.map_err(|fault| in_field(&name, fault))?;
                self.add(name, role, value);
                Ok(())
            }
        }
    }

    /// Adds an attribute that is a text, as most are. It is made where it stays:
    /// moving it there takes longer than making it.
    fn add_text(&mut self, name: Text, bytes: &[u8]) {
        match text::shared(self.whole, bytes) {
            Some(text) => self.list.push((name, Value::Text(text))),
            None => self.add_bytes(name, bytes),
        }
    }

    #[cold]
    fn add_bytes(&mut self, name: Text, bytes: &[u8]) {
        let bytes = self.whole.slice_ref(bytes);
        self.list.push((name, Value::Bytes(bytes)));
    }

    /// The name that a token is, if it is remembered.
    #[inline]
    fn known(&self, name: Token<'_>) -> Option<Found<'_>> {
        match name {
            Token::Str(bytes) | Token::Bin(bytes) | Token::Ext(_, bytes) => self.names.find(bytes),
            _ => None,
        }
    }

    /// Adds an attribute.
    fn add(&mut self, name: Text, role: Role, value: Value) {
        let value = match role {
            Role::ContainerName => without_slash(value),
            // That of all records comes from outside of them. It counts.
            Role::Reserved if self.is_shared(&name) => return,
            Role::Piece => {
                self.has_pieces = true;
                value
            }
            _ => value,
        };
        self.list.push((name, value));
    }

    fn is_shared(&self, name: &str) -> bool {
        let shared = self.shared.list();
        let found = shared.binary_search_by(|(other, _)| (**other).cmp(name));
        found.is_ok()
    }

    /// Adds a field that no other may have the name of.
    pub(super) fn put(&mut self, name: Text, value: Value) {
        self.list.retain(|(other, _)| *other != name);
        self.list.push((name, value));
    }

    /// The value that comes next in the reader, as the text of a record.
    pub(super) fn text(&mut self, mut value: Reader<'a>, meter: &mut Meter) -> Result<Text, Fault> {
        let bytes = match value.value()? {
            Token::Str(bytes) | Token::Bin(bytes) | Token::Ext(_, bytes) => bytes,
            token => return self.value(token, &mut value, meter).map(as_text),
        };
        let body = text::body(self.whole, bytes, meter);
        let (body, original) = body.ok_or(Fault::Stopped)?;
        if let Some(original) = original {
            self.put(text::ORIGINAL, original);
        }
        Ok(body)
    }

    /// The name that a token is, which is not remembered.
    fn name(&mut self, token: Token<'a>, meter: &mut Meter) -> Result<Named, Fault> {
        match token {
            Token::Str(bytes) | Token::Bin(bytes) | Token::Ext(_, bytes) => {
                self.names.learn(bytes, self.whole, meter)
            }
            Token::Array(_) | Token::Map(_) => Err(Fault::NestedKey),
            // Nothing follows any of the others.
            other => {
                let name = self.json.of(other, &mut Reader::new(&[]), meter)?;
                Ok(Named::forgotten(name))
            }
        }
    }

    /// The value whose first token this is, as a record keeps it.
    #[inline]
    fn value(
        &mut self,
        token: Token<'a>,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<Value, Fault> {
        value(self.whole, &mut self.json, token, reader, meter)
    }
}

/// The value whose first token this is, as a record keeps it. Charges what shares
/// no memory with `whole`.
#[inline]
pub(super) fn value<'a>(
    whole: &Bytes,
    json: &mut JsonText,
    token: Token<'a>,
    reader: &mut Reader<'a>,
    meter: &mut Meter,
) -> Result<Value, Fault> {
    const NULL: Text = Text::from_static("null");
    Ok(match token {
        Token::Str(bytes) | Token::Bin(bytes) => text::value(whole, bytes),
        Token::Integer(number) => Value::Integer(number),
        Token::Float(number) => Value::Float(number),
        Token::Boolean(boolean) => Value::Boolean(boolean),
        Token::Nil => Value::Json(NULL),
        Token::Ext(_, bytes) => Value::Bytes(whole.slice_ref(bytes)),
        Token::Unsigned(_) | Token::Array(_) | Token::Map(_) => {
            Value::Json(json.of(token, reader, meter)?)
        }
    })
}

fn without_slash(value: Value) -> Value {
    match &value {
        Value::Text(text) => match text.strip_prefix('/') {
            Some(name) => Value::Text(text.slice_ref(name)),
            None => value,
        },
        _ => value,
    }
}

fn too_many_attributes() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer, or nest them")
}

fn in_field(name: &str, fault: Fault) -> String {
    format!("the field {:?}: {fault}", excerpt(name, NAME_CHARS))
}
