//! The names of fields, some of which are written with escapes.

use crate::json::scanner::Quoted;
use crate::json::unescape::unescape;

/// All names that are looked for.
const KNOWN: [&str; 27] = [
    "arrayValue",
    "attributes",
    "body",
    "boolValue",
    "bytesValue",
    "doubleValue",
    "eventName",
    "flags",
    "intValue",
    "key",
    "kvlistValue",
    "logRecords",
    "name",
    "observedTimeUnixNano",
    "resource",
    "resourceLogs",
    "scope",
    "scopeLogs",
    "severityNumber",
    "severityText",
    "spanId",
    "stringValue",
    "timeUnixNano",
    "traceId",
    "value",
    "values",
    "version",
];
/// The longest of them if each character is escaped, in bytes.
const ESCAPED_BYTES_MAX: usize = 6 * "observedTimeUnixNano".len();

/// A name without escapes. With escapes, it is empty if it is unknown.
#[inline(always)]
pub(super) fn of(name: Quoted<'_>) -> &str {
    match name {
        Quoted::Plain(plain) => plain,
        Quoted::Escaped(_) => escaped(name.written()),
    }
}

#[cold]
fn escaped(name: &str) -> &'static str {
    if name.len() > ESCAPED_BYTES_MAX {
        return "";
    }
    let mut unescaped = Vec::with_capacity(name.len());
    unescape(name.as_bytes(), &mut unescaped);
    let known = KNOWN
        .into_iter()
        .find(|known| known.as_bytes() == unescaped);
    known.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_known_with_escapes() {
        for known in KNOWN {
            let escaped: String = known.bytes().map(|b| format!("\\u{b:04x}")).collect();
            assert_eq!(of(Quoted::Escaped(&format!("\"{escaped}\""))), known);
            assert_eq!(of(Quoted::Plain(known)), known);
        }
        let long = format!("\"\\u006bey{}\"", "y".repeat(1000));
        assert_eq!(of(Quoted::Escaped(&long)), "");
        assert_eq!(of(Quoted::Escaped("\"\\u006beys\"")), "");
        assert_eq!(of(Quoted::Escaped("\"\\ud800\"")), "");
    }
}
