//! Writes JSON into a buffer, in the same form as [`Batch::json_lines`].
//!
//! [`Batch::json_lines`]: crate::Batch::json_lines

use std::io::Write as _;

use serde_json::value::RawValue;

use crate::escape::plain_length;
use crate::{Value, base64, digits};

/// Appends a string with its quotes.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((special, after)) = from.split_first() else {
            break;
        };
        escape(*special, out);
        rest = after;
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' | b'\\' => byte,
        _ => {
            let hex = |digit: u8| b"0123456789abcdef".get(usize::from(digit % 16)).copied();
            out.extend_from_slice(br"\u00");
            return out.extend([hex(byte >> 4), hex(byte)].into_iter().flatten());
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends a number in decimal.
pub fn integer(number: impl Into<i128>, out: &mut Vec<u8>) {
    let number = number.into();
    if number < 0 {
        out.push(b'-');
    }
    let size = number.unsigned_abs();
    match u64::try_from(size) {
        Ok(small) => digits::push(small, out),
        // Writing into a vector cannot fail.
        Err(_) => write!(out, "{size}").unwrap_or_default(),
    }
}

/// Appends a value as a string, as [`Value::to_text`] gives it.
pub fn text_of(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => {
            out.push(b'"');
            integer(*number, out);
            out.push(b'"');
        }
        other => string(&other.to_text(), out),
    }
}

/// Appends a value as [`Batch::json_lines`](crate::Batch::json_lines) does: bytes
/// as a string in base64, nested data as it is if it is JSON on one line, and a
/// float that is no number as `null`.
pub fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => string(text, out),
        Value::Integer(number) => integer(*number, out),
        Value::Float(number) => out.extend_from_slice(float_text(*number).as_bytes()),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Bytes(bytes) => string(&base64::encode(bytes), out),
        Value::Json(text) => match on_one_line(text) {
            Some(raw) => out.extend_from_slice(raw.get().as_bytes()),
            None => string(text, out),
        },
    }
}

/// Appends an object with these members, such as a record's attributes.
pub fn object<'a>(members: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, member) in members {
        out.push(before);
        string(name, out);
        out.push(b':');
        value(member, out);
        before = b',';
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// The text if it is JSON without line feeds and carriage returns.
fn on_one_line(text: &str) -> Option<&RawValue> {
    if text.contains(['\n', '\r']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// A number with the fewest digits that read back as the same one, as the WIT
/// defines it. Of two such numbers the host takes the even one, as `serde_json` does and
/// the standard library does not.
pub(crate) fn float_text(number: f64) -> String {
    serde_json::to_string(&number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_written_as_serde_json_does() {
        for character in (0..=0x0011_0000_u32).filter_map(char::from_u32) {
            let text = format!("a{character}b");
            let mut out = Vec::new();
            string(&text, &mut out);
            assert_eq!(out, serde_json::to_vec(&text).unwrap(), "{character:?}");
        }
    }

    #[test]
    fn floats_are_written_as_the_wit_says() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e-5, "0.00001"),
            (9.999e-6, "9.999e-6"),
            (-1.5, "-1.5"),
            (5e-324, "5e-324"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1.5e-7, "1.5e-7"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-1e16, "-1e+16"),
            (1_533_127_449_325_806.2, "1533127449325806.2"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "null"),
            (f64::NAN, "null"),
        ] {
            assert_eq!(float_text(number), expected);
        }
    }

    #[test]
    fn values_are_written_by_their_types() {
        for (given, expected) in [
            (Value::from("a\"b"), r#""a\"b""#),
            (Value::from(-7), "-7"),
            (Value::from(i64::MIN), "-9223372036854775808"),
            (Value::from(true), "true"),
            (Value::from(false), "false"),
            (Value::from(vec![0, 255]), r#""AP8=""#),
            (
                Value::Json(" [1,{\"a\": null}] ".to_owned()),
                r#"[1,{"a": null}]"#,
            ),
            (Value::Json("[1,".to_owned()), r#""[1,""#),
            (Value::Json("[1,\n2]".to_owned()), r#""[1,\n2]""#),
            (Value::Json("1\r".to_owned()), r#""1\r""#),
        ] {
            let mut out = Vec::new();
            value(&given, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn integers_of_every_size_are_written() {
        let powers = (0..=38).map(|power| 10_i128.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        let limits = [i128::MIN, i128::MAX, u64::MAX.into(), i64::MIN.into()];
        for number in around.flat_map(|n| [n, -n]).chain(limits) {
            let mut out = Vec::new();
            integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn any_value_can_be_a_string() {
        for (given, expected) in [
            (Value::from("a\"b"), r#""a\"b""#),
            (Value::from(-7), "\"-7\""),
            (Value::from(true), "\"true\""),
            (Value::from(1.5), "\"1.5\""),
            (Value::from(vec![0, 255]), "\"AP8=\""),
            (Value::Json("[\"a\"]".to_owned()), r#""[\"a\"]""#),
        ] {
            let mut out = Vec::new();
            text_of(&given, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn objects_may_be_empty() {
        let mut out = Vec::new();
        object(std::iter::empty(), &mut out);
        let value = Value::from(1);
        object([("a", &value), ("b", &value)].into_iter(), &mut out);
        assert_eq!(out, b"{}{\"a\":1,\"b\":1}");
    }
}
