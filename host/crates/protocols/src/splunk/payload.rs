//! The payload of an event: its text, and what else it says.

use bytes::Bytes;

use crate::json::cursor::{Cursor, Fault, Kind, Token};
use crate::json::fields::{as_text, is_null};
use crate::json::members::Members;
use crate::json::part::Parts;
use crate::meter::Meter;
use crate::text;
use sluice_types::record::{Text, Value};

/// The members of a payload that may have its text: winston's, Fluent Bit's,
/// Docker's, and those of pino and bunyan.
const TEXT: [&str; 4] = ["message", "log", "line", "msg"];

/// The text of a record, and the value for [`text::ORIGINAL`].
pub(super) type Body = (Text, Option<Value>);

/// What `event` is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    /// An object, whose members are kept elsewhere.
    Object(&'a [u8]),
    /// Anything else.
    Value(Token<'a>),
}

impl<'a> Payload<'a> {
    /// Steps over the payload, and keeps its members if it is an object.
    pub(super) fn read(
        cursor: &mut Cursor<'a>,
        members: &mut Members,
        parts: &mut Parts<'_>,
    ) -> Result<Self, Fault> {
        members.clear();
        if cursor.peek() != Some(b'{') {
            return Ok(Self::Value(cursor.value()?));
        }
        let start = cursor.at();
        members.add_object(cursor, parts)?;
        Ok(Self::Object(cursor.since(start)))
    }

    /// The text of the payload: a string itself, or the text among the members of
    /// an object, which is taken from them. If there is none, all of it as JSON.
    /// `None` if there is no memory for it.
    pub(super) fn body(self, members: &mut Members, parts: &mut Parts<'_>) -> Option<Body> {
        match self {
            Self::Value(token) => parts.body(token),
            Self::Object(json) => match take_text(members, parts.meter) {
                Some(Value::Bytes(bytes)) => text::body(&bytes, &bytes, parts.meter),
                Some(value) => Some((as_text(value), None)),
                None => text::body(parts.whole, json, parts.meter),
            },
        }
    }
}

/// Takes the member that has the text. A string is preferred to everything else.
/// If an object is all there is, as with Docker's `line` of JSON, it is the text,
/// too; but if that has a text itself, as with winston's `{"message":{"msg":…}}`,
/// this is returned, and the object stays with the members.
fn take_text(members: &mut Members, meter: &mut Meter) -> Option<Value> {
    let find = |is_wanted: fn(&Value) -> bool| {
        TEXT.into_iter().find(|name| {
            let mut list = members.list.iter();
            list.any(|(found, value)| found == name && is_wanted(value))
        })
    };
    let name = find(|value| matches!(value, Value::Text(_) | Value::Bytes(_)))
        .or_else(|| find(|value| !is_null(value)))?;
    let value = members.take(name)?;
    let Some(inner) = inner_text(&value, meter) else {
        return Some(value);
    };
    members.list.push((Text::from_static(name), value));
    Some(inner)
}

/// The text among the members of an object.
fn inner_text(object: &Value, meter: &mut Meter) -> Option<Value> {
    let Value::Json(json) = object else {
        return None;
    };
    let whole: &Bytes = json.as_bytes();
    let mut cursor = Cursor::new(whole);
    if !cursor.take(b'{') {
        return None;
    }
    let mut texts = [None; TEXT.len()];
    let mut is_first = true;
    while let Ok(Some(name)) = cursor.member(&mut is_first) {
        let token = cursor.value().ok()?;
        let place = TEXT.iter().position(|text| text.as_bytes() == name.bytes);
        if let Kind::Text | Kind::Escaped = token.kind
            && let Some(text) = place.and_then(|place| texts.get_mut(place))
        {
            *text = Some(token);
        }
    }
    let text = texts.into_iter().flatten().next()?;
    Parts { whole, meter }.value(text)
}
