//! The structured data of RFC 5424.

use memchr::memchr2;
use sluice_types::record::Text;

use crate::meter::Meter;

/// What the names of attributes begin with.
const PREFIX: &str = "syslog.sd.";
/// The longest name of an element or a parameter, in bytes. RFC 5424 allows 32.
/// Names are copied for each attribute, so they must be short.
const NAME_BYTES_MAX: usize = 64;
/// How many names are remembered.
const REMEMBERED_MAX: usize = 16;

/// A parameter of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    /// The element's name.
    pub(super) id: &'a str,
    /// Its own name; empty if it stands for an element that has no parameters.
    pub(super) name: &'a str,
    /// As it is in the message.
    pub(super) value: &'a str,
    /// Whether the value has escapes.
    pub(super) is_escaped: bool,
}

/// Calls `each` with the parameters of the structured data at the start of a
/// text, and returns what follows. `None` if it is none, or if `each` wants no
/// more.
///
/// Elements of which none has a parameter are no structured data but a text that
/// begins with a word in brackets. Senders that know no structured data, such as
/// Heroku's, write `[INFO] text` in its place.
pub(super) fn read<'a>(
    text: &'a str,
    mut each: impl FnMut(Parameter<'a>) -> Option<()>,
) -> Option<&'a str> {
    let mut rest = text;
    let mut has_parameters = false;
    while let Some(element) = rest.strip_prefix('[') {
        let (id, mut inner) = split_name(element)?;
        let mut is_empty = true;
        rest = loop {
            let next = inner.trim_start_matches(' ');
            if let Some(rest) = next.strip_prefix(']') {
                break rest;
            }
            if next.len() == inner.len() {
                return None;
            }
            let (name, next) = split_name(next)?;
            let (value, is_escaped, next) = split_value(next.strip_prefix("=\"")?)?;
            each(Parameter {
                id,
                name,
                value,
                is_escaped,
            })?;
            is_empty = false;
            inner = next;
        };
        has_parameters |= !is_empty;
        if is_empty {
            each(Parameter {
                id,
                name: "",
                value: "",
                is_escaped: false,
            })?;
        }
    }
    has_parameters.then_some(rest)
}

/// The name at the start, and what follows.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let is_end = |byte: u8| matches!(byte, 0..=b' ' | b'=' | b']' | b'"' | 0x7f);
    let length = text.bytes().take(NAME_BYTES_MAX + 1).position(is_end)?;
    let (name, rest) = text.split_at_checked(length)?;
    (!name.is_empty()).then_some((name, rest))
}

/// The value before the next quote, whether it has escapes, and what follows.
fn split_value(text: &str) -> Option<(&str, bool, &str)> {
    let bytes = text.as_bytes();
    let mut is_escaped = false;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((text.get(..at)?, is_escaped, text.get(at + 1..)?));
        }
        is_escaped = true;
        at += 2;
    }
}

/// A value without its escapes: `\"`, `\\` and `\]`. Any other backslash stays.
pub(super) fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let escaped = after.chars().next().filter(|next| "\"\\]".contains(*next));
        text.push(escaped.unwrap_or('\\'));
        rest = after
            .get(escaped.map_or(0, char::len_utf8)..)
            .unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// Names of attributes, which messages share: those of one sender repeat them.
#[derive(Debug, Default)]
pub(super) struct Names {
    remembered: Vec<Text>,
    /// Whose turn it is to be forgotten.
    oldest: usize,
}

impl Names {
    /// The name of the attribute for a parameter. `None` if there is no memory
    /// for it.
    pub(super) fn of(&mut self, parameter: Parameter<'_>, meter: &mut Meter) -> Option<Text> {
        let is_it = |text: &&Text| is_name_of(text, parameter);
        if let Some(text) = self.remembered.iter().find(is_it) {
            return Some(text.clone());
        }
        let Parameter { id, name, .. } = parameter;
        let length = PREFIX.len() + id.len() + 1 + name.len();
        if !meter.charge(length) {
            return None;
        }
        let mut text = String::with_capacity(length);
        text.push_str(PREFIX);
        text.push_str(id);
        if !name.is_empty() {
            text.push('.');
            text.push_str(name);
        }
        let text = Text::from(text);
        match self.remembered.get_mut(self.oldest) {
            Some(forgotten) => *forgotten = text.clone(),
            None => self.remembered.push(text.clone()),
        }
        self.oldest = (self.oldest + 1) % REMEMBERED_MAX;
        Some(text)
    }
}

fn is_name_of(text: &str, parameter: Parameter<'_>) -> bool {
    let rest = text.strip_prefix(PREFIX);
    let rest = rest.and_then(|text| text.strip_prefix(parameter.id));
    match parameter.name {
        "" => rest == Some(""),
        name => rest.and_then(|text| text.strip_prefix('.')) == Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    /// Names and values, and what follows.
    fn parameters(text: &str) -> Option<(Vec<(String, String)>, &str)> {
        let mut found = Vec::new();
        let rest = read(text, |parameter| {
            let name = format!("{}.{}", parameter.id, parameter.name);
            let value = unescaped(parameter.value);
            assert_eq!(parameter.is_escaped, parameter.value.contains('\\'));
            found.push((name, value));
            Some(())
        });
        Some((found, rest?))
    }

    #[test]
    fn elements_have_parameters() {
        let text = r#"[a@1 x="1" y=""][b z="]=[\""][c] text [d e="f"]"#;
        let (found, rest) = parameters(text).unwrap();
        let expected = [("a@1.x", "1"), ("a@1.y", ""), ("b.z", "]=[\""), ("c.", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            (found.as_slice(), rest),
            (expected.as_slice(), " text [d e=\"f\"]")
        );
        assert_eq!(parameters(r#"[a  x="1" ]"#).unwrap().1, "");
    }

    #[test]
    fn other_texts_in_brackets_are_none() {
        let long = format!(r#"[{} x="1"]"#, "n".repeat(NAME_BYTES_MAX + 1));
        for text in [
            "",
            "-",
            "text",
            "[INFO] text",
            "[a][b] text",
            "[",
            "[]",
            "[ a x=\"1\"]",
            "[a x]",
            "[a x=1]",
            "[a x=\"1]",
            "[a x=\"1\"",
            "[a x=\"1\\\"]",
            "[a x=\"1\"y=\"2\"]",
            "[a =\"1\"]",
            "[2026-11-21 10:00:00] text",
            "[a x=\"1\"][",
            &long,
        ] {
            assert_eq!(parameters(text), None, "{text}");
        }
    }

    #[test]
    fn only_three_characters_are_escaped() {
        assert_eq!(unescaped(r#"\"\\\]"#), r#""\]"#);
        assert_eq!(unescaped(r"C:\new\é\"), r"C:\new\é\");
        assert_eq!(unescaped(r"\\n"), r"\n");
    }

    #[test]
    fn a_name_is_charged_when_it_is_made() {
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let mut names = Names::default();
        let ids: Vec<_> = (0..=REMEMBERED_MAX).map(|id| id.to_string()).collect();
        let mut name = |id| {
            let parameter = Parameter {
                id,
                name: "x",
                value: "",
                is_escaped: false,
            };
            let text = names.of(parameter, &mut meter).unwrap();
            assert_eq!(&*text, format!("syslog.sd.{id}.x"));
            meter.charged()
        };
        let first = name("0");
        assert_eq!(name("0"), first);
        let all = ids.iter().map(|id| name(id)).last().unwrap();
        assert_eq!(name("1"), all);
        // The oldest was forgotten.
        assert!(name("0") > all);
    }
}
