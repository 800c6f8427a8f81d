//! Decodes request bodies to records, one function per content type.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::record_json::RecordReader;
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::walk::{Cursor, SyntaxError};
use crate::meter::Meter;
use sluice_types::record::{LogRecord, Text};

/// The whole body as the text of one message.
///
/// # Errors
/// The body is not UTF-8.
pub fn one(body: Bytes, key: Option<Text>, observed: u64) -> Result<LogRecord, DecodeError> {
    let text = Text::try_from(body).map_err(|error| {
        DecodeError::Refused(format!(
            "the message is not UTF-8: {error}; send text as UTF-8"
        ))
    })?;
    Ok(LogRecord {
        key,
        ..LogRecord::with_body(text, observed)
    })
}

/// What each line is.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// The text of a message.
    Text,
    /// A JSON object.
    Object,
}

/// One record per line, without empty lines; `most` lines at most.
pub fn lines(body: &Bytes, observed: u64, most: usize, meter: &mut Meter) -> Decoded {
    each_line(body, Line::Text, observed, Decoding::new(meter, most))
}

/// One JSON object per line, without empty lines; `most` lines at most.
pub fn ndjson(body: &Bytes, observed: u64, most: usize, meter: &mut Meter) -> Decoded {
    each_line(body, Line::Object, observed, Decoding::new(meter, most))
}

/// One JSON object, or an array of `most` objects at most.
///
/// # Errors
/// The body is not JSON, or it is neither of the two.
pub fn json(
    body: Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let whole = Text::try_from(body).map_err(|error| {
        DecodeError::Refused(format!(
            "the body is not UTF-8: {error}; send JSON as UTF-8"
        ))
    })?;
    let mut decoding = Decoding::new(meter, most);
    elements(&whole, observed, &mut decoding).map_err(|error| {
        DecodeError::Malformed(format!(
            "the body is not JSON: {error}; send one object, an array of objects, or NDJSON with \
             its own content type"
        ))
    })?;
    Ok(decoding.finish(whole.len()))
}

fn elements<'a>(
    whole: &'a Text,
    observed: u64,
    decoding: &mut Decoding<'_>,
) -> Result<(), SyntaxError> {
    let mut reader = RecordReader::new(observed);
    let mut cursor = Cursor::new(whole);
    let mut add = |cursor: &mut Cursor<'a>| element(cursor, &mut reader, whole, decoding);
    match cursor.peek() {
        Some(b'{') => add(&mut cursor)?,
        Some(b'[') => cursor.each_element(add)?,
        _ => {
            cursor.skip()?;
            cursor.end()?;
            return Err(Cursor::new(whole).expected("an object or an array"));
        }
    }
    cursor.end()
}

/// Reads the next element. One that is JSON and no record is a rejection.
fn element<'a>(
    cursor: &mut Cursor<'a>,
    reader: &mut RecordReader<'a>,
    whole: &Text,
    decoding: &mut Decoding<'_>,
) -> Result<(), SyntaxError> {
    if decoding.is_stopped() {
        // The reason for that is what is told.
        return Err(cursor.expected("the end"));
    }
    let start = *cursor;
    let mut length = None;
    let is_read = decoding.read(|meter| {
        let (read, bytes) = reader.read_first(whole, cursor.rest_of_text(), meter);
        length = bytes;
        read
    });
    if let (true, Some(length)) = (is_read, length) {
        cursor.pass(length);
        return Ok(());
    }
    let json = cursor.skip()?.json;
    if serde_json::from_str::<&RawValue>(json).is_err() {
        return Err(start.expected("valid JSON"));
    }
    if !is_read {
        decoding.show(json.as_bytes());
    }
    Ok(())
}

/// Splits at line feeds, strips one carriage return, skips empty lines. If the
/// whole body is UTF-8, as it usually is, that is checked once and the lines
/// share its memory.
fn each_line(body: &Bytes, kind: Line, observed: u64, mut decoding: Decoding<'_>) -> Decoded {
    match Text::try_from(body.clone()) {
        Ok(whole) => each_line_of_text(&whole, kind, observed, &mut decoding),
        Err(_) => {
            for line in body.split(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if decoding.is_stopped() {
                    break;
                }
                if !line.is_empty() {
                    decoding.add(line, |meter| {
                        let text = Text::try_from(body.slice_ref(line))
                            .map_err(|error| format!("not UTF-8: {error}"))?;
                        kind.record(&text, &text, &mut RecordReader::new(observed), meter)
                    });
                }
            }
        }
    }
    decoding.finish(body.len())
}

fn each_line_of_text(whole: &Text, kind: Line, observed: u64, decoding: &mut Decoding<'_>) {
    let mut reader = RecordReader::new(observed);
    let mut rest: &str = whole;
    let first = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
    // Lines usually have similar lengths. After a short first one, this
    // expects no more than the lines themselves take.
    decoding.expect(rest.len() / (first + 1).max(64) + 1);
    while !rest.is_empty() && !decoding.is_stopped() {
        let (line, later) = match memchr::memchr(b'\n', rest.as_bytes()) {
            Some(at) => (rest.get(..at), rest.get(at + 1..)),
            None => (Some(rest), None),
        };
        let line = line.unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !line.is_empty() {
            decoding.add(line.as_bytes(), |meter| {
                kind.record(whole, line, &mut reader, meter)
            });
        }
        rest = later.unwrap_or_default();
    }
}

impl Line {
    /// The record of a line, which is a part of `whole`.
    fn record<'a>(
        self,
        whole: &Text,
        line: &'a str,
        reader: &mut RecordReader<'a>,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        match self {
            Self::Text => Ok(LogRecord::with_body(
                whole.slice_ref(line),
                reader.observed(),
            )),
            Self::Object => reader.read(whole, line, meter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::{MemoryBudget, Reservation};
    use crate::meter::Client;
    use sluice_types::record::overhead;

    const MEMORY: usize = 64 << 20;

    /// What a body is decoded to, with this much memory, and what was charged.
    fn decode(
        memory: usize,
        most: usize,
        body: Bytes,
        work: impl FnOnce(&Bytes, usize, &mut Meter) -> Result<Decoded, DecodeError>,
    ) -> Result<(Decoded, Reservation), DecodeError> {
        let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
        meter.measure(|meter| work(&body, most, meter))
    }

    type Decoder = fn(&Bytes, usize, &mut Meter) -> Result<Decoded, DecodeError>;

    const LINES: Decoder = |body, most, meter| Ok(lines(body, 1, most, meter));
    const NDJSON: Decoder = |body, most, meter| Ok(ndjson(body, 1, most, meter));
    const JSON: Decoder = |body, most, meter| json(body.clone(), 1, most, meter);

    fn decoded(decoder: Decoder, body: impl Into<Bytes>) -> Result<Decoded, DecodeError> {
        decode(MEMORY, 100, body.into(), decoder).map(|(decoded, _)| decoded)
    }

    fn bodies(decoded: &Decoded) -> Vec<&str> {
        decoded.records.iter().map(|record| &*record.body).collect()
    }

    fn places(decoded: Decoded) -> Vec<usize> {
        let rejections = decoded.rejected.merge(Vec::new());
        rejections.listed.iter().map(|r| r.index).collect()
    }

    #[test]
    fn text_is_split_at_line_feeds_and_empty_lines_are_skipped() {
        let body = Bytes::from_static(b"a\r\n\n\r\nb\r\r\n c\rd\n\xc3\xa9");
        let text = decoded(LINES, body).unwrap();
        assert_eq!(bodies(&text), ["a", "b\r", " c\rd", "é"]);
        assert_eq!(text.rejected.len(), 0);
        assert!(bodies(&decoded(LINES, "").unwrap()).is_empty());
    }

    #[test]
    fn a_line_that_is_not_utf8_is_rejected_alone() {
        let text = decoded(LINES, Bytes::from_static(b"a\n\xff\n\nb")).unwrap();
        assert_eq!(bodies(&text), ["a", "b"]);
        assert_eq!(places(text), [1]);
    }

    #[test]
    fn a_bad_ndjson_line_is_a_rejection_of_that_index() {
        let body = "{\"msg\":\"a\"}\n{oops\n\n{\"msg\":\"b\"}\n[]\n";
        let objects = decoded(NDJSON, body).unwrap();
        assert_eq!(bodies(&objects), ["a", "b"]);
        assert_eq!(places(objects), [1, 3]);
    }

    #[test]
    fn json_is_an_object_or_an_array_of_objects() {
        let object = decoded(JSON, " {\"msg\":\"a\"} ").unwrap();
        assert_eq!(bodies(&object), ["a"]);
        let array = decoded(JSON, "[{\"msg\":\"a\"}, 7, {\"msg\":\"b\"}]").unwrap();
        assert_eq!(bodies(&array), ["a", "b"]);
        assert_eq!(places(array), [1]);
        let deep = format!("[{{\"a\":{}{}}}, {{}}]", "[".repeat(32), "]".repeat(32));
        assert_eq!(places(decoded(JSON, deep).unwrap()), [0]);
        let in_a_text = ["{\"a\":\"\t\"}", "[{\"a\":\"\\x\"}]"];
        let bodies = ["", "7", "\"x\"", "[{]", "{\"a\":1", "{} {}", "nope"];
        for body in bodies.into_iter().chain(in_a_text) {
            let malformed = decoded(JSON, body);
            assert!(
                matches!(malformed, Err(DecodeError::Malformed(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn more_than_may_wait_is_not_even_decoded() {
        let array = format!("[{}{{}}]", "{},".repeat(10));
        for (decoder, body) in [
            (LINES, "a\n".repeat(11)),
            (NDJSON, "{}\n".repeat(11)),
            (NDJSON, "{\n".repeat(11)),
            (JSON, array),
        ] {
            let body = Bytes::from(body);
            let (all, _) = decode(MEMORY, 11, body.clone(), decoder).unwrap();
            assert_eq!(all.records.len() + all.rejected.len(), 11);
            let refused = decode(MEMORY, 10, body, decoder);
            assert!(matches!(refused, Err(DecodeError::Stopped(_))));
        }
    }

    #[test]
    fn memory_is_charged_for_every_record_attribute_and_rejection() {
        let object = "{\"a\":1,\"b\":\"2\",\"c\":[]}";
        let attributes = 1000 * overhead(3);
        for (decoder, body, charged) in [
            (LINES, "a\n".repeat(1000), 1000 * overhead(0)),
            (NDJSON, format!("{object}\n").repeat(1000), attributes),
            (
                JSON,
                format!("[{object}{}]", format!(",{object}").repeat(999)),
                attributes,
            ),
            // Of these, all that is charged is that they are rejected.
            (NDJSON, "{\n".repeat(1000), 1000 * 96),
            (JSON, format!("[1{}]", ",1".repeat(999)), 1000 * 96),
        ] {
            let body = Bytes::from(body);
            let (_, reservation) = decode(MEMORY, 1000, body.clone(), decoder).unwrap();
            let spent = reservation.spent();
            assert!(spent >= charged, "{spent}");
            assert!(decode(spent, 1000, body.clone(), decoder).is_ok());
            let refused = decode(charged - 1, 1000, body, decoder);
            assert!(matches!(refused, Err(DecodeError::Stopped(_))));
        }
    }

    #[test]
    fn texts_with_escapes_are_charged_too() {
        let object = format!("{{\"a\":\"{}\"}}", "\\t".repeat(10_000));
        for (decoder, body) in [(NDJSON, object.clone()), (JSON, format!("[{object}]"))] {
            let (_, reservation) = decode(MEMORY, 1, body.into(), decoder).unwrap();
            // Twice this as it came; the copy of the text takes half as much.
            assert!(reservation.spent() > overhead(1) + 20_000);
        }
    }

    #[test]
    fn a_record_with_too_many_attributes_is_rejected_and_freed() {
        let object = |count| format!("{{\"msg\":\"a\",\"x\":1{}}}", ",\"k\":1".repeat(count));
        let many = object(2_800_000);
        let memory = 1 << 20;
        for (decoder, body) in [
            (NDJSON, format!("{}\n{many}\n{}", object(1), object(2))),
            (JSON, format!("[{},{many},{}]", object(1), object(2))),
        ] {
            let (decoded, _) = decode(memory, 10, body.into(), decoder).unwrap();
            assert_eq!(bodies(&decoded), ["a", "a"]);
            let rejections = decoded.rejected.merge(Vec::new());
            let reason = &rejections.listed[0].reason;
            assert!(reason.contains("1024 attributes"), "{reason}");
        }
    }

    #[test]
    fn reasons_never_repeat_a_long_input() {
        let long = "\u{1}x".repeat(1 << 20);
        for record in [
            format!("{{\"time\":\"{}\"}}", "x".repeat(1 << 20)),
            format!("{{\"time\":\"{}\"}}", "\\u0001".repeat(1 << 18)),
            format!("{{\"time\":[{}1]}}", "1,".repeat(1 << 20)),
            format!("\"{}\"", "x".repeat(1 << 20)),
            format!("[\"{}\"]", "x".repeat(1 << 20)),
            format!("{{\"{long}"),
        ] {
            let objects = decoded(NDJSON, record).unwrap();
            let rejections = objects.rejected.merge(Vec::new());
            let reason = &rejections.listed[0].reason;
            assert!(reason.chars().count() <= 200, "{reason}");
        }
    }

    #[test]
    fn one_line_among_newlines_does_not_keep_them() {
        let newlines = "\n".repeat(1 << 20);
        for (decoder, line) in [(LINES, "short"), (NDJSON, "{\"msg\":\"short\"}")] {
            let body = Bytes::from(format!("{newlines}{line}{newlines}"));
            let range = body.as_ptr_range();
            let decoded = decode(MEMORY, 100_000, body.clone(), decoder).unwrap().0;
            let record = &decoded.records[0];
            assert_eq!(&*record.body, "short");
            assert!(!range.contains(&record.body.as_bytes().as_ptr()));
            assert!(decoded.records.capacity() < 10);
        }
    }
}
