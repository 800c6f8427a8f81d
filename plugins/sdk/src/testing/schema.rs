//! Compares a JSON Schema with what a sink accepts.

use serde_json::{Map, Value};

use super::running::open;
use crate::Sink;

/// Keywords that say nothing about validity.
const NOTES: [&str; 7] = [
    "$schema",
    "$id",
    "title",
    "description",
    "default",
    "examples",
    "format",
];

/// Checks that a schema and the sink agree: both accept the `valid` configs, and both
/// refuse the `invalid` ones.
///
/// # Panics
/// They do not agree, or the schema has a keyword that this function does not know.
pub fn schema_agrees<S: Sink>(schema: &str, valid: &[String], invalid: &[String]) {
    let parse = |text: &str| -> Value {
        let value = serde_json::from_str(text);
        value.unwrap_or_else(|error| unreachable!("{text}: {error}"))
    };
    let schema = parse(schema);
    for config in valid {
        assert_eq!(mistake(&schema, &parse(config)), None, "schema: {config}");
        if let Err(failure) = open::<S>(config) {
            unreachable!("the sink refuses {config}: {}", failure.reason());
        }
    }
    for config in invalid {
        let mistake = mistake(&schema, &parse(config));
        assert!(mistake.is_some(), "the schema accepts {config}");
        let refused = open::<S>(config).err();
        assert!(refused.is_some(), "the sink accepts {config}");
    }
}

/// What a schema says against a value.
fn mistake(schema: &Value, value: &Value) -> Option<String> {
    let keywords = schema.as_object()?;
    keywords
        .iter()
        .find_map(|(keyword, rule)| match keyword.as_str() {
            "type" => unless(is_type(rule, value), value, rule),
            "enum" => {
                let all = rule.as_array()?;
                unless(all.contains(value), value, rule)
            }
            "minimum" => unless(in_order(rule, value), value, rule),
            "maximum" => unless(in_order(value, rule), value, rule),
            "minLength" => unless(length(value) >= rule.as_u64(), value, rule),
            "items" => value
                .as_array()?
                .iter()
                .find_map(|item| mistake(rule, item)),
            "required" => {
                let (members, names) = (value.as_object()?, rule.as_array()?);
                let mut names = names.iter().filter_map(Value::as_str);
                let missing = names.find(|name| !members.contains_key(*name));
                missing.map(|name| format!("{name} is missing"))
            }
            "properties" => in_properties(rule.as_object()?, value.as_object()?),
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let others = value.as_object()?.iter();
                let mut others = others.filter(|(name, _)| !has(known, name));
                others.find_map(|(name, other)| match rule {
                    Value::Bool(false) => Some(format!("{name} is unknown")),
                    rule => mistake(rule, other),
                })
            }
            note if NOTES.contains(&note) => None,
            other => unreachable!("the keyword {other} of the schema is not known here"),
        })
}

fn in_properties(properties: &Map<String, Value>, members: &Map<String, Value>) -> Option<String> {
    members
        .iter()
        .find_map(|(name, member)| mistake(properties.get(name)?, member))
}

fn has(properties: Option<&Map<String, Value>>, name: &str) -> bool {
    properties.is_some_and(|properties| properties.contains_key(name))
}

fn unless(is_right: bool, value: &Value, rule: &Value) -> Option<String> {
    (!is_right).then(|| format!("{value} is not {rule}"))
}

fn is_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        other => unreachable!("the type {other:?} of the schema is not known here"),
    };
    match rule {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

/// Whether both are numbers, and the first is not larger. Other values are not
/// compared.
fn in_order(first: &Value, second: &Value) -> bool {
    match (first.as_f64(), second.as_f64()) {
        (Some(first), Some(second)) => first <= second,
        _ => true,
    }
}

/// The characters of a text.
fn length(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else {
        return Some(u64::MAX);
    };
    u64::try_from(text.chars().count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_keyword_finds_its_mistake() {
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {
                "a": {"type": "integer", "minimum": 1, "maximum": 3},
                "b": {"enum": ["x", "y"]},
                "c": {"type": "array", "items": {"type": ["string", "null"], "minLength": 1}},
                "d": {"type": "object", "additionalProperties": {"type": "boolean"}},
            },
        });
        for right in [
            json!({"a": 1}),
            json!({"a": 3, "b": "y", "c": ["z", null], "d": {"e": true}}),
        ] {
            assert_eq!(mistake(&schema, &right), None, "{right}");
        }
        for wrong in [
            json!([]),
            json!({}),
            json!({"a": 0}),
            json!({"a": 4}),
            json!({"a": 1.5}),
            json!({"a": 1, "b": "z"}),
            json!({"a": 1, "c": [""]}),
            json!({"a": 1, "c": [1]}),
            json!({"a": 1, "d": {"e": 1}}),
            json!({"a": 1, "e": 1}),
        ] {
            assert!(mistake(&schema, &wrong).is_some(), "{wrong}");
        }
    }
}
