//! The trace that a request belongs to.

use std::fmt;

/// A trace id, as W3C's Trace Context defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// The id in the value of a header `traceparent`, if that is valid.
    #[must_use]
    pub fn of_traceparent(value: &[u8]) -> Option<Self> {
        let mut fields = value.split(|byte| *byte == b'-');
        let version = hex(fields.next()?, 2)?;
        let trace = hex(fields.next()?, 32)?;
        let parent = hex(fields.next()?, 16)?;
        hex(fields.next()?, 2)?;
        let is_nothing = |id: &[u8]| id.iter().all(|digit| *digit == b'0');
        // Later versions may have more fields, and 255 is none.
        let has_version = version != b"ff" && (version != b"00" || fields.next().is_none());
        let is_valid = has_version && !is_nothing(trace) && !is_nothing(parent);
        trace.try_into().ok().filter(|_| is_valid).map(Self)
    }
}

/// The field, if it has so many digits in lower case.
fn hex(field: &[u8], digits: usize) -> Option<&[u8]> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (field.len() == digits && field.iter().all(is_digit)).then_some(field)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn of(value: &str) -> Option<String> {
        TraceId::of_traceparent(value.as_bytes()).map(|id| id.to_string())
    }

    #[test]
    fn the_id_of_a_valid_header_is_read() {
        let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(of(&valid).as_deref(), Some(TRACE));
        let later = format!("01-{TRACE}-00f067aa0ba902b7-00-more");
        assert_eq!(of(&later).as_deref(), Some(TRACE));
    }

    #[test]
    fn anything_else_is_no_trace() {
        let (zero_trace, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for value in [
            "",
            TRACE,
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{zero_trace}-00f067aa0ba902b7-01"),
            &format!("00-{upper}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("00-{TRACE}\"-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
