//! Values, and pairs of a name and a value.

use serde_json::Value as Json;
use sluice_sink::Value;

use crate::wire;

/// Appends a `KeyValue` as a field.
pub(crate) fn pair(field: u8, name: &str, value: &Value, out: &mut Vec<u8>) {
    wire::message(field, out, |out| {
        wire::bytes(1, name.as_bytes(), out);
        wire::message(2, out, |out| any(value, out));
    });
}

/// Appends the content of an `AnyValue`. Nested data becomes arrays and lists of
/// pairs, and stays a text if it is no JSON.
fn any(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => wire::bytes(1, text.as_bytes(), out),
        Value::Boolean(is_so) => wire::number(2, u64::from(*is_so), out),
        Value::Integer(number) => wire::number(3, number.cast_unsigned(), out),
        Value::Float(number) => wire::fixed64(4, number.to_bits(), out),
        Value::Bytes(bytes) => wire::bytes(7, bytes, out),
        Value::Json(text) => match serde_json::from_str(text) {
            Ok(json) => nested(&json, out),
            Err(_) => wire::bytes(1, text.as_bytes(), out),
        },
    }
}

/// The parser bounds how deep this goes.
fn nested(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Null => {}
        Json::Bool(is_so) => wire::number(2, u64::from(*is_so), out),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => wire::number(3, integer.cast_unsigned(), out),
            (None, float) => wire::fixed64(4, float.unwrap_or(f64::NAN).to_bits(), out),
        },
        Json::String(text) => wire::bytes(1, text.as_bytes(), out),
        Json::Array(items) => wire::message(5, out, |out| {
            for item in items {
                wire::message(1, out, |out| nested(item, out));
            }
        }),
        Json::Object(members) => wire::message(6, out, |out| {
            for (name, member) in members {
                wire::message(1, out, |out| {
                    wire::bytes(1, name.as_bytes(), out);
                    wire::message(2, out, |out| nested(member, out));
                });
            }
        }),
    }
}
