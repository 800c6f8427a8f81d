//! The keys of objects.

use serde::Deserialize;
use sluice_sink::RecordId;
use sluice_sink::time::Rfc3339;

/// The longest key of S3, in bytes.
const MAX_BYTES: usize = 1024;
/// How much of the digest is in a key: 64 bits in hex.
const DIGEST_DIGITS: usize = 16;

/// What a key is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    /// The id of the first record.
    pub(crate) first: RecordId,
    /// The id of the last record.
    pub(crate) last: RecordId,
    /// When the first record was accepted, in nanoseconds since the Unix epoch.
    pub(crate) accepted: u64,
    /// The SHA-256 of the object in hex.
    pub(crate) digest: &'a str,
}

/// A key with fields in it. One of them is `{id}`, so that no two objects have the
/// same key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A part of a time such as `2023-11-14T22:13:20Z`.
    Time {
        from: usize,
        to: usize,
    },
    Id,
    Extension,
}

impl Part {
    fn of(field: &str) -> Option<Self> {
        let time = |from, to| Some(Self::Time { from, to });
        match field {
            "year" => time(0, 4),
            "month" => time(5, 7),
            "day" => time(8, 10),
            "hour" => time(11, 13),
            "minute" => time(14, 16),
            "id" => Some(Self::Id),
            "extension" => Some(Self::Extension),
            _ => None,
        }
    }
}

impl Default for Template {
    /// `{year}/{month}/{day}/{hour}/{id}.{extension}`.
    fn default() -> Self {
        let text = |text: &str| Part::Text(text.to_owned());
        Self(vec![
            Part::Time { from: 0, to: 4 },
            text("/"),
            Part::Time { from: 5, to: 7 },
            text("/"),
            Part::Time { from: 8, to: 10 },
            text("/"),
            Part::Time { from: 11, to: 13 },
            text("/"),
            Part::Id,
            text("."),
            Part::Extension,
        ])
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = given.as_str();
        while let Some((text, after)) = rest.split_once('{') {
            let closed = after.split_once('}').ok_or("a '{' has no '}' after it");
            let (field, after) = closed?;
            let part = Part::of(field).ok_or_else(|| {
                format!(
                    "there is no field {{{field}}}; expected some of {{year}}, {{month}}, {{day}}, \
                     {{hour}}, {{minute}}, {{id}} and {{extension}}"
                )
            })?;
            parts.extend([Part::Text(text.to_owned()), part]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        if !parts.contains(&Part::Id) {
            return Err("expected {id} in it: without, objects would replace others".to_owned());
        }
        Ok(Self(parts))
    }
}

impl Template {
    /// The key of an object.
    pub(crate) fn key(&self, prefix: &str, content: &Content<'_>, extension: &str) -> String {
        let mut time = Vec::new();
        Rfc3339::with_digits(0).push(content.accepted, &mut time);
        let time = String::from_utf8(time).unwrap_or_default();
        let mut key = prefix.to_owned();
        for part in &self.0 {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Time { from, to } => key.push_str(time.get(*from..*to).unwrap_or_default()),
                Part::Id => key.push_str(&id(content)),
                Part::Extension => key.push_str(extension),
            }
        }
        key
    }

    /// Whether keys with this prefix are ones.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn check(&self, prefix: &str) -> Result<(), String> {
        let none = RecordId {
            epoch: u64::MAX,
            sequence: u64::MAX,
        };
        let longest = Content {
            first: none,
            last: none,
            accepted: 0,
            digest: "0123456789abcdef",
        };
        let key = self.key(prefix, &longest, "ndjson.gz");
        if key.len() > MAX_BYTES {
            return Err(format!("expected keys of at most {MAX_BYTES} bytes"));
        }
        if key.chars().any(char::is_control) {
            return Err("a key holds no control characters".to_owned());
        }
        let mut segments = key.split('/');
        match segments.any(|segment| matches!(segment, "" | "." | "..")) {
            true => Err("no part of a key between slashes is empty, '.' or '..'".to_owned()),
            false => Ok(()),
        }
    }
}

/// The same for the same records, in the order in which they were accepted, and never
/// the same for others: which is why the digest is in it.
fn id(content: &Content<'_>) -> String {
    let of = |id: RecordId| format!("{:08x}-{:012x}", id.epoch, id.sequence);
    let digest = content.digest.get(..DIGEST_DIGITS).unwrap_or_default();
    format!("{}_{}_{digest}", of(content.first), of(content.last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(digest: &str) -> Content<'_> {
        Content {
            first: RecordId {
                epoch: 2,
                sequence: 0x1a,
            },
            last: RecordId {
                epoch: 2,
                sequence: 0x41a,
            },
            accepted: 1_700_000_000_000_000_000,
            digest,
        }
    }

    fn parse(text: &str) -> Result<Template, String> {
        Template::try_from(text.to_owned())
    }

    #[test]
    fn keys_are_made_of_fields() {
        let content = content("00112233445566778899aabbccddeeff");
        let id = "00000002-00000000001a_00000002-00000000041a_0011223344556677";
        for (template, expected) in [
            ("{id}", id.to_owned()),
            (
                "dt={year}-{month}-{day}/{hour}{minute}/{id}.{extension}",
                format!("dt=2023-11-14/2213/{id}.ndjson"),
            ),
            ("a}{id}b", format!("a}}{id}b")),
        ] {
            let key = parse(template).unwrap().key("p-", &content, "ndjson");
            assert_eq!(key, format!("p-{expected}"));
        }
        let same = parse("{year}/{month}/{day}/{hour}/{id}.{extension}").unwrap();
        assert_eq!(same, Template::default());
    }

    #[test]
    fn objects_with_other_records_have_other_keys() {
        let template = Template::default();
        let key = |digest| template.key("", &content(digest), "ndjson");
        assert_ne!(key("0011223344556677"), key("0011223344556678"));
        let mut later = content("0011223344556677");
        later.first.sequence = 0x100;
        assert!(template.key("", &later, "ndjson") > key("0011223344556677"));
    }

    #[test]
    fn wrong_templates_are_explained() {
        for (text, said) in [
            ("{year}", "expected {id}"),
            ("", "expected {id}"),
            ("{id}{node}", "no field {node}"),
            ("{id}{", "has no '}'"),
            ("{id}{}", "no field {}"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        for (prefix, template, said) in [
            ("/a", "{id}", "between slashes"),
            ("a//", "{id}", "between slashes"),
            ("a/../", "{id}", "between slashes"),
            ("a\n", "{id}", "control"),
            ("", "{id}/", "between slashes"),
            (&"x".repeat(970), "{id}", "1024"),
        ] {
            let error = parse(template).unwrap().check(prefix).unwrap_err();
            assert!(error.contains(said), "{prefix}{template}: {error}");
        }
        assert_eq!(Template::default().check("logs/"), Ok(()));
    }
}
