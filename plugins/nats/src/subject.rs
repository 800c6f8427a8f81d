//! The subjects of messages.

use std::borrow::Cow;

use serde::Deserialize;
use sluice_sink::{Row, Severity, Value};

/// A part of a subject that is not known, of a record without the attribute.
const NONE: &str = "none";
/// The longest part that comes from an attribute, in bytes.
const PART_MAX: usize = 128;

/// A subject such as `logs.{service.name}.{severity}`: attributes and the severity of
/// the record take the places of what is in braces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Subject(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Severity,
    Attribute(String),
}

impl Default for Subject {
    fn default() -> Self {
        Self(vec![Part::Text("logs".to_owned())])
    }
}

impl Subject {
    /// Appends the subject of a record.
    pub(crate) fn push(&self, row: Row<'_>, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Severity => out.extend_from_slice(name(row.severity()).as_bytes()),
                Part::Attribute(name) => {
                    let value = row.attribute(name).map(Value::to_text);
                    push_part(value.as_ref(), out);
                }
            }
        }
    }
}

fn push_part(value: Option<&Cow<'_, str>>, out: &mut Vec<u8>) {
    let value = value.map_or(NONE, |value| value);
    let value = if value.is_empty() { NONE } else { value };
    let shown = |c: char| match c {
        _ if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c as u8,
        _ => b'_',
    };
    out.extend(value.chars().map(shown).take(PART_MAX));
}

const fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Unspecified => NONE,
        Severity::Trace => "trace",
        Severity::Debug => "debug",
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Error => "error",
        Severity::Fatal => "fatal",
    }
}

impl TryFrom<String> for Subject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = "expected a subject such as logs or logs.{service.name}.{severity}, \
                        without wildcards, spaces and empty parts";
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        // What is checked by NATS's rules, with the braces replaced.
        let mut shape = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(expected)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name {
                "" => return Err(expected),
                "severity" => Part::Severity,
                name => Part::Attribute(name.to_owned()),
            });
            shape.push_str(before);
            shape.push('x');
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        shape.push_str(rest);
        let is_right = |c: char| c.is_ascii_graphic() && !"*>{}".contains(c);
        let is_part = |part: &str| !part.is_empty() && part.chars().all(is_right);
        let is_ours = !shape.starts_with('$') && !shape.starts_with("_INBOX");
        match shape.split('.').all(is_part) && is_ours {
            true => Ok(Self(parts)),
            false => Err(expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sink::testing::{batch, record};

    fn subjects(text: &str) -> Vec<String> {
        let subject = Subject::try_from(text.to_owned()).unwrap();
        let first = record("x").severity(Severity::Warn);
        let first = first.attribute("a.b", "c d.é*").attribute("n", -1);
        let batch = batch([first, record("y").attribute("a.b", "")]);
        let subject = |row| {
            let mut out = Vec::new();
            subject.push(row, &mut out);
            String::from_utf8(out).unwrap()
        };
        batch.rows().iter().map(subject).collect()
    }

    #[test]
    fn attributes_become_parts() {
        assert_eq!(subjects("logs"), ["logs", "logs"]);
        assert_eq!(
            subjects("logs.{a.b}-{n}.{severity}"),
            ["logs.c_d___--1.warn", "logs.none-none.none"]
        );
    }

    #[test]
    fn a_subject_has_no_wildcards_and_no_empty_parts() {
        for wrong in [
            "", ".", "a.", "a..b", "a.*", "a.>", "a b", "{", "}", "{}", "a{b", "{a}}", "$JS.a",
            "_INBOX.a", "é",
        ] {
            assert!(Subject::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
