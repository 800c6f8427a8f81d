//! A record as a message of RFC 5424.

use std::borrow::Cow;

use sluice_sink::time::Rfc3339;
use sluice_sink::{Row, Value, json};

use crate::config::{Config, TooLong};
use crate::names::priority;

/// RFC 5424, 6: the longest values of the header, in bytes.
const HOST_MAX: usize = 255;
const APP_MAX: usize = 48;
const PROCESS_MAX: usize = 128;
const MESSAGE_ID_MAX: usize = 32;
const NAME_MAX: usize = 32;
/// RFC 5424, 6.2.3: a time has at most so many digits of a fraction.
const FRACTION_DIGITS: usize = 6;
/// Attributes that have elements of their own: `syslog.sd.<id>.<name>`.
const ELEMENTS: &str = "syslog.sd.";
const CUT: &str = " truncated=\"true\"";

/// Writes messages.
#[derive(Debug)]
pub(crate) struct Writer {
    time: Rfc3339,
    message: Vec<u8>,
    /// Elements of the structured data: an id and what follows it.
    elements: Vec<(String, String)>,
}

/// Attributes that are values of the header.
const HEADER: [&str; 9] = [
    "host.name",
    "resource.host.name",
    "service.name",
    "resource.service.name",
    "process.pid",
    "resource.process.pid",
    "syslog.procid",
    "syslog.msgid",
    "syslog.facility",
];

impl Writer {
    pub(crate) const fn new() -> Self {
        Self {
            time: Rfc3339::with_digits(FRACTION_DIGITS),
            message: Vec::new(),
            elements: Vec::new(),
        }
    }

    /// Appends a record as a frame: the length of the message, a space and the message.
    ///
    /// # Errors
    /// It is too long, and is to be refused then: how long it is.
    pub(crate) fn push(
        &mut self,
        row: Row<'_>,
        config: &Config,
        out: &mut Vec<u8>,
    ) -> Result<(), usize> {
        self.message.clear();
        self.header(row, config);
        self.message.push(b' ');
        let start = self.message.len();
        self.structured_data(row, config.structured_data());
        let end = self.message.len();
        self.message.push(b' ');
        self.message.extend_from_slice(row.body().as_bytes());
        let max = config.max_message_bytes();
        if self.message.len() > max {
            if config.too_long == TooLong::Refuse {
                return Err(self.message.len());
            }
            self.cut(row, config.structured_data(), (start, end), max);
        }
        json::integer(self.message.len() as u64, out);
        out.push(b' ');
        out.extend_from_slice(&self.message);
        Ok(())
    }

    fn header(&mut self, row: Row<'_>, config: &Config) {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| row.attribute(name));
            values.next().map(Value::to_text)
        };
        let facility = row.attribute("syslog.facility").and_then(Value::as_str);
        self.message.push(b'<');
        let priority = priority(facility, config.facility, row.severity());
        json::integer(priority, &mut self.message);
        self.message.extend_from_slice(b">1 ");
        self.time.push(row.timestamp(), &mut self.message);
        let host = first(&["host.name", "resource.host.name"]);
        let app = first(&["service.name", "resource.service.name"]);
        let process = first(&["process.pid", "resource.process.pid", "syslog.procid"]);
        for (value, max) in [
            (host, HOST_MAX),
            (app, APP_MAX),
            (process, PROCESS_MAX),
            (first(&["syslog.msgid"]), MESSAGE_ID_MAX),
        ] {
            self.message.push(b' ');
            token(value.as_deref(), max, &mut self.message);
        }
    }

    /// Appends the structured data: the elements that came so, and one with the id of
    /// the record and all other attributes.
    fn structured_data(&mut self, row: Row<'_>, id: Option<&str>) {
        self.elements.clear();
        if let Some(id) = id {
            let record = row.id();
            let first = format!(" id=\"{}-{}\"", record.epoch, record.sequence);
            self.elements.push((id.to_owned(), first));
        }
        for (name, value) in row.attributes() {
            let element = name.strip_prefix(ELEMENTS).and_then(|n| n.rsplit_once('.'));
            match (element, id) {
                (Some((own, name)), _) => self.parameter(own, name, value),
                (None, Some(id)) if !HEADER.contains(&name) => self.parameter(id, name, value),
                (None, _) => {}
            }
        }
        if self.elements.is_empty() {
            self.message.push(b'-');
        }
        for (id, parameters) in &self.elements {
            self.message.push(b'[');
            self.message.extend_from_slice(id.as_bytes());
            self.message.extend_from_slice(parameters.as_bytes());
            self.message.push(b']');
        }
    }

    fn parameter(&mut self, id: &str, name: &str, value: &Value) {
        let id = clean(id);
        let known = self.elements.iter().position(|(known, _)| *known == id);
        let place = known.unwrap_or_else(|| {
            self.elements.push((id.into_owned(), String::new()));
            self.elements.len() - 1
        });
        if let Some((_, parameters)) = self.elements.get_mut(place) {
            parameters.push(' ');
            parameters.push_str(&clean(name));
            parameters.push_str("=\"");
            for character in value.to_text().chars() {
                if "\"\\]".contains(character) {
                    parameters.push('\\');
                }
                parameters.push(character);
            }
            parameters.push('"');
        }
    }

    /// Cuts off the end of the message, and says so in the element of this id. If the
    /// structured data is too long itself, only the id of the record is left of it.
    fn cut(&mut self, row: Row<'_>, id: Option<&str>, (start, end): (usize, usize), max: usize) {
        let record = row.id();
        let mut data = match id {
            Some(id) => format!("[{id}{CUT} id=\"{}-{}\"]", record.epoch, record.sequence),
            None => "-".to_owned(),
        };
        if end + CUT.len() < max {
            let whole = self.message.get(start..end).unwrap_or_default();
            let whole = String::from_utf8_lossy(whole).into_owned();
            data = match id {
                // Its element is the first one.
                Some(id) => whole.replacen(id, &format!("{id}{CUT}"), 1),
                None => whole,
            };
        }
        self.message.truncate(start);
        self.message.extend_from_slice(data.as_bytes());
        self.message.push(b' ');
        let room = max.saturating_sub(self.message.len());
        let body = row.body();
        let body = body.get(..body.floor_char_boundary(room));
        let body = body.unwrap_or_default();
        self.message.extend_from_slice(body.as_bytes());
    }
}

/// The name of an element or a parameter, with what is not permitted replaced.
fn clean(name: &str) -> Cow<'_, str> {
    let is_right = |c: char| c.is_ascii_graphic() && !"=]\"".contains(c);
    if !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(is_right) {
        return Cow::Borrowed(name);
    }
    let replaced = name.chars().map(|c| if is_right(c) { c } else { '_' });
    let replaced: String = replaced.take(NAME_MAX).collect();
    Cow::Owned(if replaced.is_empty() {
        "_".to_owned()
    } else {
        replaced
    })
}

/// Appends a value of the header: printable ASCII, or a hyphen for none.
fn token(value: Option<&str>, max: usize, out: &mut Vec<u8>) {
    match value {
        None | Some("") => out.push(b'-'),
        Some(value) => {
            let shown = |c: char| if c.is_ascii_graphic() { c as u8 } else { b'_' };
            out.extend(value.chars().map(shown).take(max));
        }
    }
}
