//! Makes records of messages.

use std::ops::Range;

use bytes::Bytes;
use sluice_types::attributes::Attribute;
use sluice_types::record::{LogRecord, Text, Value};

use super::header::Header;
use super::priority::{self, Priority};
use super::structured_data::{self, Names};
use super::timestamp::Calendar;
use super::{rfc3164, rfc5424};
use crate::json::fields::{drained, merge_repeated};
use crate::meter::Meter;
use crate::text::ORIGINAL;

/// The most attributes of structured data: with the others, a record has at most
/// 1024. What has more stays in the text.
const PARAMETERS_MAX: usize = 1000;
/// The byte order mark that RFC 5424 puts before UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads one message after the other.
#[derive(Debug)]
pub(crate) struct RecordReader {
    observed: u64,
    calendar: Calendar,
    has_structured_data: bool,
    /// The attributes of a record with structured data while it is read, in
    /// memory that is used again for the next one.
    attributes: Vec<Attribute>,
    names: Names,
}

/// What the attributes of a record come from besides structured data.
#[derive(Clone, Debug, Default)]
struct Source<'a> {
    priority: Option<Priority>,
    header: Header<'a>,
    is_truncated: bool,
    /// The bytes of a message that is not UTF-8.
    original: Option<Bytes>,
}

impl RecordReader {
    /// For messages that were received at this time.
    pub(crate) fn new(observed: u64) -> Self {
        Self {
            observed,
            calendar: Calendar::new(observed),
            has_structured_data: true,
            attributes: Vec::new(),
            names: Names::default(),
        }
    }

    /// The same for senders that put the message where RFC 5424 has structured
    /// data.
    pub(crate) fn without_structured_data(self) -> Self {
        Self {
            has_structured_data: false,
            ..self
        }
    }

    /// Reads the message at this place of a body, which is also given as a text
    /// if it is one. Charges texts that share no memory with it.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) fn read(
        &mut self,
        body: &Bytes,
        text: Option<&Text>,
        range: Range<usize>,
        is_truncated: bool,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        let source = Source {
            is_truncated,
            ..Source::default()
        };
        if let Some(whole) = text
            && let Some(message) = whole.get(range.clone())
        {
            return Ok(self.read_text(whole, message, source, meter));
        }
        let original = body.slice_ref(body.get(range).unwrap_or_default());
        if let Ok(whole) = Text::try_from(original.clone()) {
            return Ok(self.read_text(&whole, &whole, source, meter));
        }
        // A byte that is replaced becomes three.
        if !meter.charge(original.len().saturating_mul(3)) {
            return Err("no memory".to_owned());
        }
        let whole = Text::from(String::from_utf8_lossy(&original).into_owned());
        let source = Source {
            original: Some(original),
            ..source
        };
        Ok(self.read_text(&whole, &whole, source, meter))
    }

    fn read_text<'a>(
        &mut self,
        whole: &Text,
        message: &'a str,
        mut source: Source<'a>,
        meter: &mut Meter,
    ) -> LogRecord {
        let (priority, text) = priority::split(message);
        let (header, is_rfc5424) = self.header(text, priority.is_some());
        source.priority = priority;
        source.header = header;
        let (body, attributes) = match header.rest.as_bytes().first() {
            _ if !is_rfc5424 || !self.has_structured_data => {
                (header.rest, source.attributes(whole))
            }
            Some(b'[') => self.with_parameters(whole, source, meter),
            _ => (after_nil(header.rest), source.attributes(whole)),
        };
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        LogRecord {
            timestamp: header.timestamp.unwrap_or(self.observed),
            severity: priority.map(Priority::severity).unwrap_or_default(),
            attributes: attributes.into(),
            ..LogRecord::with_body(whole.slice_ref(body), self.observed)
        }
    }

    /// The header behind the priority, and whether it is that of RFC 5424.
    fn header<'a>(&mut self, text: &'a str, has_priority: bool) -> (Header<'a>, bool) {
        let calendar = &mut self.calendar;
        let rfc5424 = rfc5424::read(text, calendar);
        if let Some(header) = rfc5424.filter(|h| has_priority || h.timestamp.is_some()) {
            return (header, true);
        }
        let header = rfc3164::read(text, calendar, has_priority).or_else(|| {
            let header = has_priority.then(|| rfc3164::tag_with_process(text));
            header.flatten()
        });
        let unknown = Header {
            rest: text,
            ..Header::default()
        };
        (header.unwrap_or(unknown), false)
    }

    /// The text behind the structured data, and all attributes. What is no
    /// structured data stays in the text.
    fn with_parameters<'a>(
        &mut self,
        whole: &Text,
        source: Source<'a>,
        meter: &mut Meter,
    ) -> (&'a str, Vec<Attribute>) {
        let Self {
            attributes, names, ..
        } = self;
        attributes.clear();
        source.push(whole, attributes);
        let before = attributes.len();
        let text = source.header.rest;
        let rest = structured_data::read(text, |parameter| {
            if attributes.len() - before >= PARAMETERS_MAX {
                return None;
            }
            let name = names.of(parameter, meter)?;
            let value = match parameter.is_escaped {
                true if !meter.charge(parameter.value.len()) => return None,
                true => structured_data::unescaped(parameter.value).into(),
                false => whole.slice_ref(parameter.value),
            };
            attributes.push((name, Value::Text(value)));
            Some(())
        });
        match rest {
            None => attributes.truncate(before),
            Some(_) if attributes.len() > before + 1 => merge_repeated(attributes),
            Some(_) => {}
        }
        (rest.map_or(text, after_space), drained(attributes))
    }
}

impl Source<'_> {
    fn attributes(&self, whole: &Text) -> Vec<Attribute> {
        let mut attributes = Vec::with_capacity(self.count());
        self.push(whole, &mut attributes);
        attributes
    }

    /// How many attributes there are.
    fn count(&self) -> usize {
        let header = &self.header;
        let texts = [header.host, header.app, header.process, header.message_id];
        let texts = texts.iter().filter(|text| !text.is_empty()).count();
        let severity = self.priority.and_then(Priority::finer_severity);
        let others = [
            self.priority.is_some(),
            severity.is_some(),
            self.is_truncated,
            self.original.is_some(),
        ];
        texts + others.map(usize::from).iter().sum::<usize>()
    }

    fn push(&self, whole: &Text, into: &mut Vec<Attribute>) {
        if let Some(priority) = self.priority {
            let name = Text::from_static;
            if let Some(facility) = priority.facility() {
                into.push((name("syslog.facility"), Value::Text(name(facility))));
            }
            if let Some(severity) = priority.finer_severity() {
                into.push((name("syslog.severity"), Value::Text(name(severity))));
            }
        }
        let header = &self.header;
        push_part("host.name", whole, header.host, into);
        push_part("service.name", whole, header.app, into);
        match number(header.process) {
            Some(pid) => into.push((Text::from_static("process.pid"), Value::Integer(pid))),
            None => push_part("syslog.procid", whole, header.process, into),
        }
        push_part("syslog.msgid", whole, header.message_id, into);
        if self.is_truncated {
            let name = Text::from_static("syslog.truncated");
            into.push((name, Value::Boolean(true)));
        }
        if let Some(original) = &self.original {
            into.push((ORIGINAL, Value::Bytes(original.clone())));
        }
    }
}

/// Adds a part of the message, unless it is empty.
fn push_part(name: &'static str, whole: &Text, part: &str, into: &mut Vec<Attribute>) {
    if !part.is_empty() {
        let value = Value::Text(whole.slice_ref(part));
        into.push((Text::from_static(name), value));
    }
}

/// The text behind a nil value, or all of it if there is none: some senders have
/// the message in the place of structured data.
fn after_nil(text: &str) -> &str {
    match text.strip_prefix('-') {
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => after_space(rest),
        _ => text,
    }
}

fn after_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

/// The number that is written so and in no other way.
fn number(text: &str) -> Option<i64> {
    let is_number = match text.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_number.then(|| text.parse().ok())?
}
