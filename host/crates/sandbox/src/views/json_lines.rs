//! The JSON form: one object per record and line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use sluice_types::attributes::Attributes;
use sluice_types::record::{LogRecord, Severity, Value};

use super::json_text::string;
use super::rfc3339::Times;
use super::room::{TooLarge, check};

/// What a record without attributes usually takes in addition to its texts.
const RECORD: usize = 160;
/// What an attribute usually takes in addition to its texts.
const ATTRIBUTE: usize = 12;

/// The view `json-lines`, as `wit/0.2/sink.wit` defines it.
///
/// # Errors
/// It takes more than `most` bytes.
pub fn json_lines(records: &[LogRecord], most: usize) -> Result<Vec<u8>, TooLarge> {
    let usual =
        |record: &LogRecord| RECORD + record.attributes.len() * ATTRIBUTE + record.text_bytes();
    let expected: usize = records.iter().map(usual).sum();
    let mut out = Vec::with_capacity(expected.min(most));
    let mut times = Times::new();
    for record in records {
        line(record, &mut times, &mut out);
        check(out.len(), most)?;
    }
    Ok(out)
}

fn line(record: &LogRecord, times: &mut Times, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"epoch\":");
    integer(record.id.epoch, out);
    out.extend_from_slice(b",\"sequence\":");
    integer(record.id.sequence, out);
    if let Some(key) = record.key.as_ref().filter(|key| !key.is_empty()) {
        out.extend_from_slice(b",\"id\":");
        string(key, out);
    }
    out.extend_from_slice(b",\"timestamp\":\"");
    times.push(record.timestamp, out);
    out.extend_from_slice(b"\",\"observed\":\"");
    times.push(record.observed, out);
    if let Some(severity) = severity(record.severity) {
        out.extend_from_slice(b"\",\"severity\":\"");
        out.extend_from_slice(severity);
    }
    out.extend_from_slice(b"\",\"body\":");
    string(&record.body, out);
    if !record.attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        attributes(&record.attributes, out);
    }
    out.extend_from_slice(b"}\n");
}

fn attributes(attributes: &Attributes, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, value) in attributes {
        out.push(before);
        string(name, out);
        out.push(b':');
        self::value(value, out);
        before = b',';
    }
    out.push(b'}');
}

fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => string(text, out),
        Value::Integer(number) => integer(*number, out),
        Value::Float(number) if number.is_finite() => {
            let mut digits = zmij::Buffer::new();
            out.extend_from_slice(digits.format_finite(*number).as_bytes());
        }
        Value::Float(_) => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Bytes(bytes) => string(&STANDARD.encode(bytes), out),
        Value::Json(text) => match on_one_line(text) {
            Some(raw) => out.extend_from_slice(raw.get().as_bytes()),
            None => string(text, out),
        },
    }
}

/// The text if it is JSON. It may have line feeds between tokens, but they would end
/// the line.
fn on_one_line(text: &str) -> Option<&RawValue> {
    if text.contains(['\n', '\r']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(number).as_bytes());
}

const fn severity(severity: Severity) -> Option<&'static [u8]> {
    match severity {
        Severity::Unspecified => None,
        Severity::Trace => Some(b"trace"),
        Severity::Debug => Some(b"debug"),
        Severity::Info => Some(b"info"),
        Severity::Warn => Some(b"warn"),
        Severity::Error => Some(b"error"),
        Severity::Fatal => Some(b"fatal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::{RecordId, Text};

    fn record(body: &str) -> LogRecord {
        LogRecord {
            id: RecordId {
                epoch: 3,
                sequence: 7,
            },
            timestamp: 1_700_000_000_000_000_000,
            observed: 1_700_000_000_500_000_000,
            body: Text::from(body),
            ..LogRecord::default()
        }
    }

    fn json_of(record: LogRecord) -> String {
        String::from_utf8(json_lines(&[record], usize::MAX).unwrap()).unwrap()
    }

    #[test]
    fn absent_parts_are_omitted() {
        assert_eq!(
            json_of(record("a\n\"b\"")),
            "{\"epoch\":3,\"sequence\":7,\"timestamp\":\"2023-11-14T22:13:20Z\",\
             \"observed\":\"2023-11-14T22:13:20.5Z\",\"body\":\"a\\n\\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn all_fields_are_written() {
        let text = Text::from_static;
        let full = LogRecord {
            key: Some(text("k-1")),
            severity: Severity::Warn,
            attributes: vec![
                (text("t"), Value::Text(text("x"))),
                (text("i"), Value::Integer(-1)),
                (text("f"), Value::Float(1.5)),
                (text("nan"), Value::Float(f64::NAN)),
                (text("b"), Value::Boolean(true)),
                (text("y"), Value::Bytes(vec![0, 255].into())),
                (text("j"), Value::Json(text(" [1,{\"a\": null}] "))),
                (text("broken"), Value::Json(text("[1,"))),
                (text("lines"), Value::Json(text("[1,\n2]"))),
            ]
            .into(),
            ..record("hello")
        };
        assert_eq!(
            json_of(full),
            "{\"epoch\":3,\"sequence\":7,\"id\":\"k-1\",\"timestamp\":\"2023-11-14T22:13:20Z\",\
             \"observed\":\"2023-11-14T22:13:20.5Z\",\"severity\":\"warn\",\"body\":\"hello\",\
             \"attributes\":{\"t\":\"x\",\"i\":-1,\"f\":1.5,\"nan\":null,\"b\":true,\"y\":\"AP8=\",\
             \"j\":[1,{\"a\": null}],\"broken\":\"[1,\",\"lines\":\"[1,\\n2]\"}}\n"
        );
    }

    #[test]
    fn floats_are_written_as_the_wit_says() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e-5, "0.00001"),
            (9.999e-6, "9.999e-6"),
            (-1.5, "-1.5"),
            (5e-324, "5e-324"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1.5e-7, "1.5e-7"),
            (9_007_199_254_740_993e-6, "9007199254.740993"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "null"),
        ] {
            let mut out = Vec::new();
            value(&Value::Float(number), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_refused() {
        let whole = json_of(record("x")).len();
        assert!(json_lines(&[record("x")], whole).is_ok());
        assert!(json_lines(&[record("x")], whole - 1).is_err());
        assert!(json_lines(&[record("x"), record("x")], whole).is_err());
    }
}
