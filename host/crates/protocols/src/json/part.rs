//! Parts of a JSON body as texts and values that share its memory.

use bytes::Bytes;

use super::cursor::{Kind, Token};
use super::share::number;
use super::unescape::unescape;
use crate::meter::Meter;
use crate::text;
use sluice_types::record::{Text, Value};

/// Makes texts and values of parts of `whole`, and charges those that share no
/// memory with it. They are `None` if there is no memory for them.
pub(crate) struct Parts<'a> {
    pub(crate) whole: &'a Bytes,
    pub(crate) meter: &'a mut Meter,
}

impl Parts<'_> {
    /// An object's member by name. Bytes that are no text are replaced.
    pub(crate) fn name(&mut self, token: Token<'_>) -> Option<Text> {
        self.body(token).map(|(name, _)| name)
    }

    /// The value as a record keeps it.
    pub(crate) fn value(&mut self, token: Token<'_>) -> Option<Value> {
        Some(match token.kind {
            Kind::True => Value::Boolean(true),
            Kind::False => Value::Boolean(false),
            Kind::Number => match std::str::from_utf8(token.bytes).ok().and_then(number) {
                Some(number) => number,
                None => self.json(token),
            },
            Kind::Null | Kind::Nested => self.json(token),
            Kind::Text | Kind::Loose => text::value(self.whole, token.bytes),
            Kind::Escaped => {
                let bytes = self.bytes(token)?;
                text::value(&bytes, &bytes)
            }
        })
    }

    /// The value as the body of a record, with the value for [`text::ORIGINAL`]
    /// if it is no text.
    pub(crate) fn body(&mut self, token: Token<'_>) -> Option<(Text, Option<Value>)> {
        match token.kind {
            Kind::Escaped => {
                let bytes = self.bytes(token)?;
                text::body(&bytes, &bytes, self.meter)
            }
            _ => text::body(self.whole, token.bytes, self.meter),
        }
    }

    /// The content of a string with escapes.
    fn bytes(&mut self, token: Token<'_>) -> Option<Bytes> {
        self.meter.charge(token.bytes.len()).then(|| {
            let mut bytes = Vec::with_capacity(token.bytes.len());
            unescape(token.bytes, &mut bytes);
            bytes.into()
        })
    }

    fn json(&self, token: Token<'_>) -> Value {
        match text::shared(self.whole, token.bytes) {
            Some(json) => Value::Json(json),
            None => Value::Bytes(self.whole.slice_ref(token.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::cursor::Cursor;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn value(json: &'static [u8], memory: usize) -> Option<Value> {
        let whole = Bytes::from_static(json);
        let mut meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
        let token = Cursor::new(&whole).value().unwrap();
        let mut parts = Parts {
            whole: &whole,
            meter: &mut meter,
        };
        parts.value(token)
    }

    #[test]
    fn values_keep_their_types_without_loss() {
        for (json, expected) in [
            (&b"-7"[..], Value::Integer(-7)),
            (b"1.5e3", Value::Float(1500.0)),
            (
                b"18446744073709551615",
                Value::Json("18446744073709551615".into()),
            ),
            (b"true", Value::Boolean(true)),
            (b"false", Value::Boolean(false)),
            (b"null", Value::Json("null".into())),
            (b"\"a\"", Value::Text("a".into())),
            (b"\"a\\n\"", Value::Text("a\n".into())),
            (b"{\"a\": [1]}", Value::Json("{\"a\": [1]}".into())),
            // Not what another reader of JSON would take.
            (b"[1,]", Value::Text("[1,]".into())),
            (b"[\"\t\"]", Value::Text("[\"\t\"]".into())),
            (b"[\"\\ud83d\"]", Value::Text("[\"\\ud83d\"]".into())),
            (b"NaN", Value::Text("NaN".into())),
            (b"\"\xff\"", Value::Bytes(Bytes::from_static(b"\xff"))),
            (
                b"[\"\xff\"]",
                Value::Bytes(Bytes::from_static(b"[\"\xff\"]")),
            ),
            (b"\"\xff\\n\"", Value::Bytes(Bytes::from_static(b"\xff\n"))),
        ] {
            assert_eq!(value(json, 100), Some(expected));
        }
    }

    #[test]
    fn an_escape_costs_a_copy_which_is_charged_first() {
        assert_eq!(value(b"\"\\n4567890\"", 8), None);
        assert!(value(b"\"\\n4567890\"", 9).is_some());
        assert!(value(b"\"1234567890\"", 0).is_some());
    }
}
