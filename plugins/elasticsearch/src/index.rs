//! The names of indices.

use serde::Deserialize;
use sluice_sink::json;
use sluice_sink::time::Rfc3339;

const NANOS_PER_HOUR: u64 = 3_600_000_000_000;
/// What Elasticsearch takes in no name of an index.
const FORBIDDEN: &str = "\\/*?\"<>| ,#:";
/// The longest name, in bytes.
const MAX_BYTES: usize = 255;

/// An index's name with the date of a record in it: `%Y`, `%m`, `%d` and `%H` stand
/// for year, month, day and hour in UTC, and `%%` for a percent sign.
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
}

impl Default for Template {
    /// `sluice-%Y.%m.%d`.
    fn default() -> Self {
        let text = |text: &str| Part::Text(text.to_owned());
        Self(vec![
            text("sluice-"),
            Part::Time { from: 0, to: 4 },
            text("."),
            Part::Time { from: 5, to: 7 },
            text("."),
            Part::Time { from: 8, to: 10 },
        ])
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut characters = given.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            let (from, to) = match characters.next() {
                Some('Y') => (0, 4),
                Some('m') => (5, 7),
                Some('d') => (8, 10),
                Some('H') => (11, 13),
                Some('%') => {
                    text.push('%');
                    continue;
                }
                _ => return Err("expected one of Y, m, d, H and % after each %".to_owned()),
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Time { from, to });
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let template = Self(parts);
        check(&template.name(0))?;
        Ok(template)
    }
}

/// Elasticsearch's rules for names.
fn check(name: &str) -> Result<(), String> {
    let is_forbidden = |c: char| FORBIDDEN.contains(c) || c.is_control() || c.is_uppercase();
    if name.is_empty() || name.len() > MAX_BYTES || matches!(name, "." | "..") {
        return Err(format!("expected a name of 1 to {MAX_BYTES} bytes"));
    }
    if name.starts_with(['-', '_', '+']) {
        return Err("a name of an index begins with none of - _ +".to_owned());
    }
    if let Some(wrong) = name.chars().find(|c| is_forbidden(*c)) {
        return Err(format!("no name of an index holds {wrong:?}"));
    }
    Ok(())
}

impl Template {
    /// The name for a time, in nanoseconds since the Unix epoch.
    fn name(&self, time: u64) -> String {
        let mut written = Vec::new();
        Rfc3339::with_digits(0).push(time, &mut written);
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Time { from, to } => written.get(*from..*to).unwrap_or_default(),
        });
        String::from_utf8(parts.flatten().copied().collect()).unwrap_or_default()
    }
}

/// The beginnings of the lines of actions, most of which are of one hour in a batch.
pub(crate) struct Actions<'a> {
    template: &'a Template,
    hour: u64,
    /// Up to the value of `_id`.
    begin: Vec<u8>,
}

impl<'a> Actions<'a> {
    pub(crate) fn of(template: &'a Template) -> Self {
        Self {
            template,
            hour: 0,
            begin: begin(&template.name(0)),
        }
    }

    /// The line for a time, in nanoseconds since the Unix epoch, up to the value of
    /// `_id`.
    pub(crate) fn begin(&mut self, time: u64) -> &[u8] {
        let hour = time / NANOS_PER_HOUR;
        if hour != self.hour {
            self.hour = hour;
            self.begin = begin(&self.template.name(time));
        }
        &self.begin
    }
}

fn begin(name: &str) -> Vec<u8> {
    let mut out = br#"{"create":{"_index":"#.to_vec();
    json::string(name, &mut out);
    out.extend_from_slice(br#","_id":"#);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z.
    const TIME: u64 = 1_700_000_000_000_000_000;

    #[test]
    fn names_have_the_date_of_the_record() {
        for (given, name) in [
            ("logs", "logs"),
            ("logs-%Y.%m.%d", "logs-2023.11.14"),
            ("%Y%m%d-%H", "20231114-22"),
            (".logs-%%%d", ".logs-%14"),
        ] {
            let template = Template::try_from(given.to_owned()).unwrap();
            assert_eq!(template.name(TIME), name);
        }
        assert_eq!(Template::default().name(TIME), "sluice-2023.11.14");
        let same = Template::try_from("sluice-%Y.%m.%d".to_owned()).unwrap();
        assert_eq!(Template::default(), same);
    }

    #[test]
    fn names_that_elasticsearch_refuses_are_refused() {
        let long = "a".repeat(256);
        for wrong in [
            "", ".", "-a", "_a", "+a", "A", "a b", "a/b", "a*", "a:b", "a%", "a%y", &long,
        ] {
            assert!(Template::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_hours_of_a_batch_may_differ() {
        let template = Template::try_from("%H".to_owned()).unwrap();
        let mut actions = Actions::of(&template);
        for (hour, name) in [(0, "00"), (1, "01"), (1, "01"), (0, "00"), (47, "23")] {
            let expected = format!(r#"{{"create":{{"_index":"{name}","_id":"#);
            assert_eq!(
                actions.begin(hour * NANOS_PER_HOUR + 1),
                expected.as_bytes()
            );
        }
    }
}
