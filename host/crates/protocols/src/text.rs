//! Texts that share the memory of a body.

use bytes::Bytes;
use sluice_types::record::{Text, Value};

use crate::meter::Meter;

/// The attribute that has the bytes of a body that is not UTF-8, by
/// OpenTelemetry's name.
pub(crate) const ORIGINAL: Text = Text::from_static("log.record.original");

/// A part of `whole` as text, if it is UTF-8. It shares the memory.
#[must_use]
pub(crate) fn shared(whole: &Bytes, part: &[u8]) -> Option<Text> {
    Text::try_from(whole.slice_ref(part)).ok()
}

/// A part of `whole` as a value: text, or bytes if it is not UTF-8.
#[must_use]
pub(crate) fn value(whole: &Bytes, part: &[u8]) -> Value {
    shared(whole, part).map_or_else(|| Value::Bytes(whole.slice_ref(part)), Value::Text)
}

/// A part of `whole` as the body of a record. If it is not UTF-8, wrong bytes are
/// replaced, and the value for [`ORIGINAL`] is returned too. `None` if there is no
/// memory for that.
#[must_use]
pub(crate) fn body(whole: &Bytes, part: &[u8], meter: &mut Meter) -> Option<(Text, Option<Value>)> {
    if let Some(text) = shared(whole, part) {
        return Some((text, None));
    }
    // A byte that is replaced becomes three.
    meter.charge(part.len().saturating_mul(3)).then(|| {
        let text = String::from_utf8_lossy(part).into_owned();
        (text.into(), Some(Value::Bytes(whole.slice_ref(part))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    #[test]
    fn what_is_no_text_is_kept_as_it_was() {
        let whole = Bytes::from_static(b"ab\xffc");
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let text = body(&whole, &whole[..2], &mut meter).unwrap();
        assert_eq!(text, ("ab".into(), None));
        let original = Value::Bytes(whole.clone());
        let replaced = body(&whole, &whole, &mut meter).unwrap();
        assert_eq!(replaced, ("ab\u{fffd}c".into(), Some(original.clone())));
        assert_eq!(value(&whole, &whole), original);
        assert_eq!(meter.charged(), 12);
    }
}
