//! Decodes request bodies to records, one function per content type.

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::record_json;
use crate::http::ingest::decoded::Decoded;
use crate::http::problem::Problem;
use sluice_types::record::{LogRecord, Text};

/// The whole body as the text of one message.
///
/// # Errors
/// The body is not UTF-8.
pub(super) fn one(body: Bytes, key: Option<Text>, observed: u64) -> Result<LogRecord, Problem> {
    let text = Text::try_from(body).map_err(|error| {
        Problem::Refused(format!(
            "the message is not UTF-8: {error}; send text as UTF-8"
        ))
    })?;
    Ok(LogRecord {
        key,
        ..LogRecord::with_body(text, observed)
    })
}

/// One record per line, without empty lines; `most` lines at most.
pub(super) fn lines(body: &Bytes, observed: u64, most: usize) -> Decoded {
    each_line(body, most, |text, _whole| {
        Ok(LogRecord::with_body(text, observed))
    })
}

/// One JSON object per line, without empty lines; `most` lines at most.
pub(super) fn ndjson(body: &Bytes, observed: u64, most: usize) -> Decoded {
    each_line(body, most, |text, whole| {
        record_json::record(whole, &text.clone(), observed)
    })
}

/// One JSON object, or an array of `most` objects at most.
///
/// # Errors
/// The body is not JSON, or it is neither of the two.
pub(super) fn json(body: Bytes, observed: u64, most: usize) -> Result<Decoded, Problem> {
    let malformed = |error: &dyn std::fmt::Display| {
        Problem::Malformed(format!(
            "the body is not JSON: {error}; send one object, an array of objects, or NDJSON with \
             its own content type"
        ))
    };
    let whole = Text::try_from(body).map_err(|error| {
        Problem::Refused(format!(
            "the body is not UTF-8: {error}; send JSON as UTF-8"
        ))
    })?;
    let mut decoded = Decoded::at_most(most);
    match whole.trim_start().as_bytes().first() {
        Some(b'[') => {
            let elements = Elements(|raw: &RawValue| {
                decoded.push(record_json::record(&whole, raw.get(), observed));
            });
            let mut deserializer = serde_json::Deserializer::from_str(&whole);
            elements
                .deserialize(&mut deserializer)
                .and_then(|()| deserializer.end())
                .map_err(|error| malformed(&error))?;
        }
        Some(b'{') => {
            let raw: &RawValue = serde_json::from_str(&whole).map_err(|error| malformed(&error))?;
            decoded.push(record_json::record(&whole, raw.get(), observed));
        }
        _ => {
            serde_json::from_str::<&RawValue>(&whole).map_err(|error| malformed(&error))?;
            return Err(malformed(&"it is neither an object nor an array"));
        }
    }
    Ok(decoded)
}

/// Calls a function with each element of a JSON array.
struct Elements<F>(F);

impl<'de, F: FnMut(&'de RawValue)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// Splits at line feeds, strips one carriage return, skips empty lines. If the
/// whole body is UTF-8, as it usually is, that is checked once and the lines
/// share its memory.
fn each_line(
    body: &Bytes,
    most: usize,
    mut decode: impl FnMut(Text, &Text) -> Result<LogRecord, String>,
) -> Decoded {
    let mut decoded = Decoded::at_most(most);
    if let Ok(whole) = Text::try_from(body.clone()) {
        let mut rest: &str = &whole;
        let first = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        // Lines usually have similar lengths. After a short first one, this
        // reserves no more than the lines themselves take.
        let lines = rest.len() / (first + 1).max(64) + 1;
        decoded.records.reserve(lines.min(most));
        while !rest.is_empty() && !decoded.is_too_many {
            let (line, later) = match memchr::memchr(b'\n', rest.as_bytes()) {
                Some(at) => (rest.get(..at), rest.get(at + 1..)),
                None => (Some(rest), None),
            };
            let line = line.unwrap_or_default();
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.is_empty() {
                decoded.push(decode(whole.slice_ref(line), &whole));
            }
            rest = later.unwrap_or_default();
        }
        return decoded;
    }
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if decoded.is_too_many {
            break;
        }
        if !line.is_empty() {
            let text = Text::try_from(body.slice_ref(line));
            decoded.push(
                text.map_err(|error| format!("not UTF-8: {error}"))
                    .and_then(|text| {
                        let whole = text.clone();
                        decode(text, &whole)
                    }),
            );
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_delivery::Rejection;

    fn bodies(decoded: &Decoded) -> Vec<&str> {
        decoded.records.iter().map(|record| &*record.body).collect()
    }

    fn places(rejected: &[Rejection]) -> Vec<usize> {
        rejected.iter().map(|rejection| rejection.index).collect()
    }

    #[test]
    fn text_is_split_at_line_feeds_and_empty_lines_are_skipped() {
        let decoded = lines(
            &Bytes::from_static(b"a\r\n\n\r\nb\r\r\n c\rd\n\xc3\xa9"),
            1,
            100,
        );
        assert_eq!(bodies(&decoded), ["a", "b\r", " c\rd", "é"]);
        assert!(decoded.rejected.is_empty());
        assert!(bodies(&lines(&Bytes::new(), 1, 100)).is_empty());
    }

    #[test]
    fn a_line_that_is_not_utf8_is_rejected_alone() {
        let decoded = lines(&Bytes::from_static(b"a\n\xff\n\nb"), 1, 100);
        assert_eq!(bodies(&decoded), ["a", "b"]);
        assert_eq!(places(&decoded.rejected), [1]);
    }

    #[test]
    fn a_bad_ndjson_line_is_a_rejection_of_that_index() {
        let body = Bytes::from_static(b"{\"msg\":\"a\"}\n{oops\n\n{\"msg\":\"b\"}\n[]\n");
        let decoded = ndjson(&body, 1, 100);
        assert_eq!(bodies(&decoded), ["a", "b"]);
        assert_eq!(places(&decoded.rejected), [1, 3]);
    }

    #[test]
    fn json_is_an_object_or_an_array_of_objects() {
        let object = json(Bytes::from_static(b" {\"msg\":\"a\"} "), 1, 100).unwrap();
        assert_eq!(bodies(&object), ["a"]);
        let array = json(
            Bytes::from_static(b"[{\"msg\":\"a\"}, 7, {\"msg\":\"b\"}]"),
            1,
            100,
        )
        .unwrap();
        assert_eq!(bodies(&array), ["a", "b"]);
        assert_eq!(places(&array.rejected), [1]);
        for body in ["", "7", "\"x\"", "[{]", "{\"a\":1", "{} {}", "nope"] {
            assert!(
                matches!(json(Bytes::from(body), 1, 100), Err(Problem::Malformed(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn more_than_may_wait_is_not_even_decoded() {
        let text = Bytes::from("a\n".repeat(11));
        let array = Bytes::from(format!("[{}{{}}]", "{},".repeat(10)));
        let objects = Bytes::from("{}\n".repeat(11));
        for most in [10, 11] {
            let decoded = [
                lines(&text, 1, most),
                ndjson(&objects, 1, most),
                json(array.clone(), 1, most).unwrap(),
            ];
            for decoded in decoded {
                let count = decoded.records.len() + decoded.rejected.len();
                assert_eq!((count, decoded.is_too_many), (most, most == 10));
            }
        }
    }
}
