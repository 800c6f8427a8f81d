//! Makes a record of the fields in a MessagePack map.
//!
//! The text is the first of `log`, `message`, `msg` and `body` that is present;
//! a record without any has all of its fields as JSON as its text. The severity
//! is `severity` or `level`, as far as it is of a known scale. Everything else is
//! an attribute, and so is the tag, as `fluent.tag`. For the fields named here,
//! nil counts as absent.
//!
//! The fields that Docker adds get OpenTelemetry's names: `container_id` becomes
//! `container.id`, and `container_name` becomes `container.name`, without the
//! slash that Docker's own interface puts before it.

use bytes::Bytes;
use sluice_types::attributes::SharedAttributes;
use sluice_types::record::{LogRecord, Severity, Text, Value};

use super::chunk;
use super::fault::{Fault, in_record};
use super::fields::{Claimed, Claims, Fields};
use super::group;
use super::json_text::JsonText;
use super::msgpack::{Reader, Token};
use super::names::Role;
use super::records::Records;
use crate::decoded::Decoded;
use crate::meter::Meter;
use crate::severity;

/// The attribute that has Fluent Bit's metadata, as JSON.
const METADATA: Text = Text::from_static("fluent.metadata");

/// What a record has besides its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// In nanoseconds since the Unix epoch; `None` if there is none.
    pub(super) time: Option<u64>,
    /// The bytes of Fluent Bit's metadata.
    pub(super) metadata: Option<&'a [u8]>,
    /// What the key begins with, and the record's index in its message.
    pub(super) key: Option<(&'a str, usize)>,
}

/// Makes one record after the other.
#[derive(Debug)]
pub(super) struct RecordReader<'a> {
    /// What all entries are a part of.
    whole: &'a Bytes,
    observed: u64,
    /// What records outside of groups have in common.
    outside: &'a SharedAttributes,
    fields: Fields<'a>,
}

impl<'a> RecordReader<'a> {
    /// For records that were observed at this time, and have these attributes in
    /// common.
    pub(super) fn new(whole: &'a Bytes, observed: u64, shared: &'a SharedAttributes) -> Self {
        Self {
            whole,
            observed,
            outside: shared,
            fields: Fields::new(whole, shared.clone()),
        }
    }

    /// From now on, the records have attributes of this group in common, too.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    pub(super) fn start_group(&mut self, group: &[u8], meter: &mut Meter) -> Result<(), String> {
        self.end_group();
        let json = self.fields.json();
        let shared = group::of_group(group, self.whole, self.outside, json, meter)?;
        self.fields.share(shared);
        Ok(())
    }

    /// From now on, the records are in no group.
    pub(super) fn end_group(&mut self) {
        self.fields.share(self.outside.clone());
    }

    /// The records that were read. Memory that was used on the way is given back.
    pub(super) fn finish(mut self, decoded: Decoded, meter: &mut Meter) -> Records {
        let scratch = self.fields.json().capacity();
        meter.reduce(meter.charged().saturating_sub(scratch));
        Records {
            decoded,
            has_pieces: self.fields.has_pieces(),
        }
    }

    /// Reads a record, and charges texts that share no memory with the entries.
    /// If it is not a map, the value is its text.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    #[inline]
    pub(super) fn read(
        &mut self,
        frame: Frame<'_>,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        let record = self.assemble(frame, reader, meter);
        if record.is_err() {
            // What was charged for it is taken back with the record.
            *self.fields.json() = JsonText::default();
        }
        record
    }

    fn assemble(
        &mut self,
        frame: Frame<'_>,
        reader: &mut Reader<'a>,
        meter: &mut Meter,
    ) -> Result<LogRecord, String> {
        self.fields.start();
        let before = *reader;
        let claims = match reader.value().map_err(in_record)? {
            Token::Map(length) => self.fields.read(length, reader, meter)?,
            _ => {
                *reader = before;
                reader.skip().map_err(in_record)?;
                Claims::default()
            }
        };
        let severity = self.severity(claims.severity, meter)?;
        let body = match claims.text {
            Some((_, value)) => self.fields.text(value, meter),
            None => self.whole_record(before, meter),
        };
        let body = body.map_err(in_record)?;
        self.add_metadata(frame.metadata, meter)?;
        let key = match frame.key {
            Some((prefix, index)) => {
                let key = chunk::key(prefix, index, meter);
                Some(key.ok_or_else(|| in_record(Fault::Stopped))?)
            }
            None => None,
        };
        Ok(LogRecord {
            key,
            timestamp: frame.time.unwrap_or(self.observed),
            observed: self.observed,
            severity,
            body,
            attributes: self.fields.finish()?,
            ..LogRecord::default()
        })
    }

    /// The severity that a field says. If it is of an unknown scale, it is kept
    /// as it is.
    fn severity(&mut self, claimed: Claimed<'a>, meter: &mut Meter) -> Result<Severity, String> {
        let Some((claim, mut value)) = claimed else {
            return Ok(Severity::Unspecified);
        };
        let mut again = value;
        let known = match again.value() {
            Ok(Token::Integer(number)) => severity::of_number(number),
            Ok(Token::Str(name) | Token::Bin(name)) => {
                std::str::from_utf8(name).ok().and_then(severity::of_name)
            }
            _ => None,
        };
        match known {
            Some(severity) => Ok(severity),
            None => {
                self.fields
                    .add_next(claim.name, Role::Plain, &mut value, meter)?;
                Ok(Severity::Unspecified)
            }
        }
    }

    fn add_metadata(&mut self, metadata: Option<&[u8]>, meter: &mut Meter) -> Result<(), String> {
        let mut reader = Reader::new(metadata.unwrap_or(b"\x80"));
        let token = reader.value().map_err(in_record)?;
        if matches!(token, Token::Map(0) | Token::Nil) {
            return Ok(());
        }
        let json = self.fields.json().of(token, &mut reader, meter);
        let json = json.map_err(|fault: Fault| format!("the metadata: {fault}"))?;
        self.fields.put(METADATA, Value::Json(json));
        Ok(())
    }

    /// The text of a record without any: all of its fields, or what there is
    /// instead of them.
    fn whole_record(&mut self, mut record: Reader<'a>, meter: &mut Meter) -> Result<Text, Fault> {
        let before = record;
        match record.value()? {
            map @ Token::Map(_) => self.fields.json().of(map, &mut record, meter),
            _ => self.fields.text(before, meter),
        }
    }
}
