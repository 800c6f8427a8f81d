//! Documents to records.
//!
//! The text is the first of `message`, `body`, `log`, `msg` and `MESSAGE` that is
//! no object or array; `body.text` counts as `body`. A document without a text is
//! its own text. The time is the first of `@timestamp`, `timestamp`, `time` and
//! `date` that is one, and the severity the first of `log.level` (also as an object
//! in `log`), `level`, `severity`, `severity_text`, `severity_number` and
//! `PRIORITY` that is known. Everything else is an attribute. For the fields named
//! here, null counts as absent. Texts without escapes share the memory of the
//! request.

use bytes::Bytes;
use sluice_types::attributes::{Attributes, SharedAttributes};
use sluice_types::record::{LogRecord, Severity, Text};

use super::action::{INDEX, Indexes};
use super::timestamp;
use crate::decoded::{Decoded, Decoding};
use crate::json::scanner::{Scanned, Scanner};
use crate::json::written::{FieldValue, Fields};
use crate::meter::Meter;
use crate::severity;

/// The most attributes of a record, without the index.
const ATTRIBUTES_MAX: usize = 1024;
/// The most fields of a document: the attributes and text, time and severity.
const FIELDS_MAX: usize = ATTRIBUTES_MAX + 3;

/// What a document's action says of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meta<'a> {
    pub(super) index: Option<&'a SharedAttributes>,
    pub(super) id: Option<&'a Text>,
    /// Whether the document is in the field `doc` of what was sent.
    pub(super) is_update: bool,
}

/// Reads one document after the other.
#[derive(Debug)]
pub(super) struct DocumentReader<'a> {
    observed: u64,
    /// What is read, in memory that is used again for the next document.
    fields: Fields<'a>,
    /// What `log.level` says, if `log` is an object.
    log_level: Option<Severity>,
    /// The text that `body` has, if it is an object, and whether it has nothing
    /// else.
    body_text: Option<(Text, bool)>,
}

/// What a field is to a record. The number is its rank among those with the same
/// meaning; the least one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Text(u8),
    Time(u8),
    Severity(u8),
    Index,
    Attribute,
}

/// Which fields were found for what the record has besides attributes, with the
/// rank, what was understood, and the place in the list of fields.
#[derive(Debug, Default)]
struct Found {
    text: Option<(u8, usize)>,
    time: Option<(u8, u64, usize)>,
    /// Without a place if it is in an object.
    severity: Option<(u8, Severity, Option<usize>)>,
    /// Whether there are fields that are to be left out.
    has_absent: bool,
}

/// Decodes a document that is a whole request.
pub fn decode(
    body: &Bytes,
    index: &str,
    id: Option<&str>,
    observed: u64,
    meter: &mut Meter,
) -> Decoded {
    let mut decoding = Decoding::new(meter, 1);
    let index = Indexes::default().attributes(index, decoding.meter());
    decoding.add(body, |meter| {
        let whole = Text::try_from(body.clone()).map_err(|error| format!("not UTF-8: {error}"))?;
        let is_charged = id.is_none_or(|id| meter.charge(id.len()));
        let id = id.filter(|id| is_charged && !id.is_empty()).map(Text::from);
        let meta = Meta {
            index: index.as_ref(),
            id: id.as_ref(),
            is_update: false,
        };
        DocumentReader::new(observed).read(&whole, &whole, meta, meter)
    });
    decoding.finish(body.len())
}

impl<'a> DocumentReader<'a> {
    /// For records that were observed at this time.
    pub(super) fn new(observed: u64) -> Self {
        Self {
            observed,
            fields: Fields::default(),
            log_level: None,
            body_text: None,
        }
    }

    /// One for documents that are not in the same text.
    pub(super) fn another<'b>(&self) -> DocumentReader<'b> {
        DocumentReader::new(self.observed)
    }

    /// Reads a document that is a part of `whole`, and charges texts that share no
    /// memory with it.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    pub(super) fn read(
        &mut self,
        whole: &Text,
        json: &'a str,
        meta: Meta<'_>,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        let mut scanner = Scanner::new(json);
        let document = match meta.is_update {
            true => self.update(&mut scanner, whole, meter),
            false => self.object(&mut scanner, whole, meter),
        };
        let document = document.and_then(|document| Ok((document, scanner.end()?)));
        match document {
            Ok((document, ())) => self.assemble(whole, document, meta),
            Err(reason) => Err(format!("not a JSON document: {reason}")),
        }
    }

    /// Reads the object with the fields, and returns it.
    fn object(
        &mut self,
        scanner: &mut Scanner<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<&'a str, String> {
        self.fields.clear();
        (self.log_level, self.body_text) = (None, None);
        let start = scanner.next_place();
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            if self.fields.len() >= FIELDS_MAX {
                return Err(too_many_attributes());
            }
            let value = match name.plain() {
                Some("log") => self.log(scanner)?,
                Some("body") => self.body(scanner, whole, meter)?,
                _ => scanner.value()?,
            };
            self.fields.push(name, value, whole, meter)?;
        }
        Ok(scanner.since(start))
    }

    /// Reads the object in `doc`, and returns it.
    fn update(
        &mut self,
        scanner: &mut Scanner<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<&'a str, String> {
        let mut document = None;
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            match name.plain() {
                Some("doc") => document = Some(self.object(scanner, whole, meter)?),
                _ => {
                    scanner.value()?;
                }
            }
        }
        document.ok_or_else(|| "an update without `doc`".to_owned())
    }

    /// The value of `log`. What its level says is kept.
    fn log(&mut self, scanner: &mut Scanner<'a>) -> Result<Scanned<'a>, String> {
        self.log_level = None;
        if scanner.peek() != b'{' {
            return Ok(scanner.value()?);
        }
        let start = scanner.next_place();
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            let value = scanner.value()?;
            if let (Some("level"), Scanned::Text(level)) = (name.plain(), value) {
                self.log_level = level.plain().and_then(severity::of_name);
            }
        }
        Ok(Scanned::Other(scanner.since(start)))
    }

    /// The value of `body`. The collector's exporter has the text in an object.
    fn body(
        &mut self,
        scanner: &mut Scanner<'a>,
        whole: &Text,
        meter: &mut Meter,
    ) -> Result<Scanned<'a>, String> {
        self.body_text = None;
        if scanner.peek() != b'{' {
            return Ok(scanner.value()?);
        }
        let start = scanner.next_place();
        let (mut text, mut count) = (None, 0_usize);
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            let value = scanner.value()?;
            count += 1;
            if let (Some("text"), Scanned::Text(quoted)) = (name.plain(), value) {
                text = Some(quoted);
            }
        }
        if let Some(text) = text {
            self.body_text = Some((text.text(whole, meter)?, count == 1));
        }
        Ok(Scanned::Other(scanner.since(start)))
    }

    /// Makes a record of the fields.
    fn assemble(
        &mut self,
        whole: &Text,
        document: &str,
        meta: Meta<'_>,
    ) -> Result<LogRecord, String> {
        self.fields.keep_last_of_repeated();
        let found = self.find(meta.index.is_some())?;
        let text = found.text.and_then(|(_, at)| self.text(at, whole));
        let (body, text_at) = text.unwrap_or_else(|| (whole.slice_ref(document), None));
        let time_at = found.time.map(|(_, _, at)| at);
        let severity_at = found.severity.and_then(|(_, _, at)| at);
        self.fields.remove([text_at, time_at, severity_at]);
        if self.fields.len() > ATTRIBUTES_MAX {
            return Err(too_many_attributes());
        }
        if found.has_absent {
            let has_index = meta.index.is_some();
            let is_present = |name: &str, value: FieldValue<'_>| match Role::of(name) {
                Role::Attribute => true,
                Role::Index => !has_index,
                _ => !value.is_null(),
            };
            self.fields.retain(is_present);
        }
        let own = self.fields.attributes(whole);
        Ok(LogRecord {
            key: meta.id.cloned(),
            timestamp: found.time.map_or(self.observed, |(_, time, _)| time),
            severity: found
                .severity
                .map_or_else(Severity::default, |found| found.1),
            attributes: match meta.index {
                Some(index) => Attributes::with_shared(index, own),
                None => own.into(),
            },
            ..LogRecord::with_body(body, self.observed)
        })
    }

    /// Looks for fields that are not attributes.
    fn find(&self, has_index: bool) -> Result<Found, String> {
        let mut found = Found {
            severity: self.log_level.map(|level| (0, level, None)),
            ..Found::default()
        };
        for (at, (name, value)) in self.fields.iter().enumerate() {
            match Role::of(name) {
                Role::Attribute => {}
                Role::Index => found.has_absent |= has_index,
                _ if value.is_null() => found.has_absent = true,
                Role::Text(rank) if found.text.is_none_or(|(least, _)| rank < least) => {
                    let has_text = !matches!(value, FieldValue::Other(_));
                    if has_text || (name == "body" && self.body_text.is_some()) {
                        found.text = Some((rank, at));
                    }
                }
                Role::Time(rank) if found.time.is_none_or(|(least, ..)| rank < least) => {
                    match timestamp::nanoseconds(value) {
                        Ok(time) => found.time = Some((rank, time, at)),
                        Err(reason) if rank == 0 => return Err(reason),
                        Err(_) => {}
                    }
                }
                Role::Severity(rank) if found.severity.is_none_or(|(least, ..)| rank < least) => {
                    if let Some(severity) = severity_of(name, value) {
                        found.severity = Some((rank, severity, Some(at)));
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The text of the field at this place, and the place if the field has nothing
    /// else.
    fn text(&mut self, at: usize, whole: &Text) -> Option<(Text, Option<usize>)> {
        if let Some(text) = self.fields.text(at, whole) {
            return Some((text, Some(at)));
        }
        let (text, is_all) = self.body_text.take()?;
        Some((text, is_all.then_some(at)))
    }
}

impl Role {
    fn of(name: &str) -> Self {
        match name {
            "message" => Self::Text(0),
            "body" => Self::Text(1),
            "log" => Self::Text(2),
            "msg" => Self::Text(3),
            // syslog-ng
            "MESSAGE" => Self::Text(4),
            "@timestamp" => Self::Time(0),
            "timestamp" => Self::Time(1),
            "time" => Self::Time(2),
            "date" => Self::Time(3),
            "log.level" => Self::Severity(0),
            "level" => Self::Severity(1),
            "severity" => Self::Severity(2),
            // The collector's exporter
            "severity_text" => Self::Severity(3),
            "severity_number" => Self::Severity(4),
            // syslog-ng
            "PRIORITY" => Self::Severity(5),
            name if *name == *INDEX => Self::Index,
            _ => Self::Attribute,
        }
    }
}

/// What a field for the severity says. `level` as a number is that of pino and
/// bunyan, 10 to 60, and `PRIORITY` that of syslog.
fn severity_of(name: &str, value: FieldValue<'_>) -> Option<Severity> {
    let number = match value {
        FieldValue::Text(text) => return severity::of_name(text),
        FieldValue::Number(json) => json.parse::<i64>().ok()?,
        FieldValue::Boolean(_) | FieldValue::Other(_) => return None,
    };
    match (name, number) {
        ("level", 10 | 20 | 30 | 40 | 50 | 60) => severity::of_number(number / 10 * 4),
        ("level", _) => None,
        ("PRIORITY", _) => severity::of_syslog(u8::try_from(number).ok()?),
        _ => severity::of_number(number),
    }
}

fn too_many_attributes() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer, or nest them")
}
