//! The fields of an object, on their way into a record.

use sluice_types::attributes::Attribute;
use sluice_types::record::{Text, Value, keep_last_of_repeated};

/// A field's name and its value.
pub(crate) type Field = Attribute;

/// Whether a value is JSON's null.
pub(crate) fn is_null(value: &Value) -> bool {
    matches!(value, Value::Json(json) if &**json == "null")
}

/// Removes the first of `names` that is present from the fields.
pub(crate) fn take(fields: &mut Vec<Field>, names: &[&str]) -> Option<Field> {
    let find = |name: &&str| fields.iter().position(|(n, _)| n == name);
    names.iter().find_map(find).map(|at| fields.remove(at))
}

/// What the list holds, in a list exactly as large as it must be. The memory of
/// the given one is used again. They are moved all at once, which is faster than
/// one by one.
pub(crate) fn drained(fields: &mut Vec<Field>) -> Vec<Field> {
    let mut list = Vec::with_capacity(fields.len());
    list.append(fields);
    list
}

/// The last value of a repeated name counts, as in most JSON readers.
pub(crate) fn merge_repeated(fields: &mut Vec<Field>) {
    const FEW: usize = 16;
    let repeats = fields.len() > FEW
        || fields
            .iter()
            .enumerate()
            .any(|(at, (name, _))| fields.iter().skip(at + 1).any(|(other, _)| other == name));
    if repeats {
        keep_last_of_repeated(fields);
    }
}

pub(crate) fn as_text(value: Value) -> Text {
    match value {
        Value::Text(text) | Value::Json(text) => text,
        Value::Integer(integer) => Text::from(integer.to_string()),
        Value::Float(float) => Text::from(float.to_string()),
        Value::Boolean(boolean) => Text::from(boolean.to_string()),
        Value::Bytes(_) => Text::new(),
    }
}
