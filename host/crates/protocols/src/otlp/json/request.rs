//! Decodes a request, from its resources down to its records.

use std::rc::Rc;

use bytes::Bytes;

use super::reader::Reader;
use super::record::RecordReader;
use super::source;
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::meter::Meter;
use crate::otlp::common::{RESOURCE, Resource, SCOPE, Shared, Source};
use crate::otlp::invalid::Invalid;
use sluice_types::record::Text;

/// The fewest bytes of a record in practice.
const RECORD_BYTES_MIN: usize = 128;

/// The records of an `ExportLogsServiceRequest` in JSON, `most` records and
/// rejections at most. Texts without escapes share the memory of the body.
///
/// # Errors
/// The body is not JSON, or not in the form of a request down to its records.
pub fn decode(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let malformed = |error: &dyn std::fmt::Display| {
        DecodeError::Malformed(format!(
            "the body is not an ExportLogsServiceRequest in JSON: {error}"
        ))
    };
    let whole = Text::try_from(body.clone()).map_err(|error| malformed(&error))?;
    let mut request = Request {
        reader: Reader::new(&whole),
        records: RecordReader::new(observed),
        decoding: Decoding::new(meter, most),
    };
    request.read().map_err(|error| malformed(&error))?;
    Ok(request.decoding.finish(body.len()))
}

/// A request that is being decoded.
struct Request<'a> {
    reader: Reader<'a>,
    records: RecordReader,
    decoding: Decoding<'a>,
}

impl<'a> Request<'a> {
    fn read(&mut self) -> Result<(), Invalid> {
        if !self.reader.is_at_object() {
            return Err(Invalid::Json("it is not an object".to_owned()));
        }
        self.reader.enter("an object (a request)")?;
        while let Some(name) = self.reader.name()? {
            match name {
                "resourceLogs" => self.read_resources()?,
                _ => self.skip()?,
            }
        }
        self.reader.end()
    }

    fn read_resources(&mut self) -> Result<(), Invalid> {
        if self.reader.enter_array("an array (resourceLogs)")? {
            while self.reader.element()? {
                self.read_resource_logs()?;
            }
        }
        Ok(())
    }

    /// Reads the logs of a resource. If they come before the resource, they are
    /// skipped first.
    fn read_resource_logs(&mut self) -> Result<(), Invalid> {
        if !self.reader.enter("an object (resourceLogs)")? {
            return Ok(());
        }
        let (mut resource, mut early) = (None, None);
        while let Some(name) = self.reader.name()? {
            match (name, &mut resource) {
                ("resource", None) => resource = Some(Resource::new(self.read_source(RESOURCE)?)),
                ("scopeLogs", Some(resource)) => self.read_scopes(resource)?,
                ("scopeLogs", None) if early.is_none() => early = Some(self.skip_for_later()?),
                ("resource" | "scopeLogs", _) => return Err(repeated(name)),
                _ => self.skip()?,
            }
        }
        if let Some(early) = early {
            let none = || Resource::new(Ok(Source::new(RESOURCE)));
            let resource = resource.get_or_insert_with(none);
            self.read_from(early, |request| request.read_scopes(resource))?;
        }
        Ok(())
    }

    fn read_scopes(&mut self, resource: &mut Resource) -> Result<(), Invalid> {
        if self.reader.enter_array("an array (scopeLogs)")? {
            while self.reader.element()? {
                self.read_scope_logs(resource)?;
            }
        }
        Ok(())
    }

    /// Reads the logs of a scope. If they come before the scope, they are skipped
    /// first.
    fn read_scope_logs(&mut self, resource: &mut Resource) -> Result<(), Invalid> {
        if !self.reader.enter("an object (scopeLogs)")? {
            return Ok(());
        }
        let (mut scope, mut early) = (None, None);
        while let Some(name) = self.reader.name()? {
            match (name, &scope) {
                ("scope", None) => scope = Some(self.read_source(SCOPE)?),
                ("logRecords", Some(scope)) => self.read_records(resource, scope)?,
                ("logRecords", None) if early.is_none() => early = Some(self.skip_for_later()?),
                ("scope" | "logRecords", _) => return Err(repeated(name)),
                _ => self.skip()?,
            }
        }
        if let Some(early) = early {
            let scope = scope.unwrap_or(Ok(Source::new(SCOPE)));
            self.read_from(early, |request| request.read_records(resource, &scope))?;
        }
        Ok(())
    }

    /// Reads a resource or a scope. One that is JSON and cannot be read is a reason
    /// to refuse its records.
    fn read_source(&mut self, prefix: &'static str) -> Result<Result<Source, Invalid>, Invalid> {
        let start = self.reader.clone();
        let read = source::read(prefix, &mut self.reader, self.decoding.meter());
        if read.is_err() {
            self.reader = start;
            self.skip()?;
        }
        Ok(read)
    }

    /// Reads the records of a scope. What they have in common is known from the
    /// first one on.
    fn read_records(
        &mut self,
        resource: &mut Resource,
        scope: &Result<Source, Invalid>,
    ) -> Result<(), Invalid> {
        if !self.reader.enter_array("an array (logRecords)")? {
            return Ok(());
        }
        let mut shared = None;
        while self.reader.element()? {
            let share = || resource.with_scope(scope, self.decoding.meter());
            let shared = Rc::clone(shared.get_or_insert_with(share));
            self.read_record(&shared)?;
            if self.decoding.is_stopped() {
                // The meter says why.
                return Err(Invalid::Stopped);
            }
        }
        Ok(())
    }

    /// Reads a record. One that is JSON and cannot be read is refused alone.
    fn read_record(&mut self, shared: &Shared) -> Result<(), Invalid> {
        let start = self.reader.clone();
        let bytes_before = start.bytes_left();
        let Self {
            reader,
            records,
            decoding,
        } = self;
        let is_first = decoding.is_empty();
        let is_read = decoding.read(|meter| {
            let common = shared.as_ref().map_err(Clone::clone)?;
            let read = records.read(reader, common, meter);
            read.map_err(|invalid| invalid.to_string())
        });
        if !is_read {
            *reader = start;
            let source = reader.skip(decoding.meter())?;
            decoding.show(source.as_bytes());
        }
        if is_first {
            // The others usually have similar lengths. After a short first one, this
            // expects no more than the records themselves take.
            let left = reader.bytes_left();
            decoding.expect(left / (bytes_before - left).max(RECORD_BYTES_MIN));
        }
        Ok(())
    }

    /// Skips the value that comes next, and returns where it is.
    fn skip_for_later(&mut self) -> Result<Reader<'a>, Invalid> {
        let start = self.reader.clone();
        self.skip()?;
        Ok(start)
    }

    /// Reads a value that was skipped.
    fn read_from(
        &mut self,
        start: Reader<'a>,
        read: impl FnOnce(&mut Self) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        let end = std::mem::replace(&mut self.reader, start);
        read(self)?;
        self.reader = end;
        Ok(())
    }

    fn skip(&mut self) -> Result<(), Invalid> {
        self.reader.skip(self.decoding.meter()).map(drop)
    }
}

fn repeated(name: &str) -> Invalid {
    Invalid::Json(format!("`{name}` is repeated"))
}
