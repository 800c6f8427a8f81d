//! Values of a JSON body, which share its memory where they can.

use std::borrow::Cow;

use crate::meter::Meter;
use sluice_types::record::{Text, Value};

/// Makes texts that share the memory of `whole` where they can, and charges the
/// others.
pub(crate) struct Share<'a> {
    pub(crate) whole: &'a Text,
    pub(crate) meter: &'a mut Meter,
}

impl Share<'_> {
    /// The text of a JSON string.
    pub(crate) fn quoted<E: serde::de::Error>(&mut self, json: &str) -> Result<Text, E> {
        if json.contains('\\') {
            // Unescaping makes no text longer.
            self.charge(json.len())?;
            let text = serde_json::from_str::<String>(json);
            return text.map(Text::from).map_err(E::custom);
        }
        let inner = json
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        self.text(Cow::Borrowed(inner.unwrap_or_default()))
    }

    pub(crate) fn text<E: serde::de::Error>(&mut self, text: Cow<'_, str>) -> Result<Text, E> {
        match text {
            Cow::Borrowed(text) if is_within(self.whole, text) => Ok(self.whole.slice_ref(text)),
            text => {
                self.charge(text.len())?;
                Ok(Text::from(text.into_owned()))
            }
        }
    }

    fn charge<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.meter.charge(bytes) {
            true => Ok(()),
            false => Err(E::custom("stopped")),
        }
    }
}

/// A number, as its text if it cannot be kept without loss. It is a part of `whole`.
pub(crate) fn number_or_text(json: &str, whole: &Text) -> Value {
    number(json).unwrap_or_else(|| Value::Json(whole.slice_ref(json)))
}

/// The number if it can be kept without loss.
pub(crate) fn number(json: &str) -> Option<Value> {
    if let Ok(integer) = json.parse() {
        return Some(Value::Integer(integer));
    }
    let is_fraction = json.contains(['.', 'e', 'E']);
    let float: f64 = json.parse().ok()?;
    (is_fraction && float.is_finite()).then_some(Value::Float(float))
}

fn is_within(whole: &str, part: &str) -> bool {
    let (whole, part) = (
        whole.as_bytes().as_ptr_range(),
        part.as_bytes().as_ptr_range(),
    );
    whole.start <= part.start && part.end <= whole.end
}
