//! Decodes a request, from its resources down to its records.

use bytes::Bytes;

use super::pieces::Pieces;
use super::record::RecordReader;
use super::source;
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::meter::Meter;
use crate::otlp::common::{RESOURCE, Resource, SCOPE, Shared, Source};
use crate::otlp::invalid::Invalid;
use crate::otlp::wire::Fields;

/// The records of an `ExportLogsServiceRequest`, `most` records and rejections
/// at most. Texts share the memory of the body.
///
/// # Errors
/// The fields of the request, of what belongs to a resource or of what belongs
/// to a scope cannot be told apart, so nobody can say which records there are.
pub fn decode(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let mut request = Request {
        body,
        records: RecordReader::new(body, observed),
        decoding: Decoding::new(meter, most),
    };
    request.read().map_err(|invalid| {
        DecodeError::Malformed(format!(
            "the body is not an ExportLogsServiceRequest: {invalid}; is the content type right?"
        ))
    })?;
    Ok(request.decoding.finish(body.len()))
}

/// A request that is being decoded.
struct Request<'a> {
    body: &'a Bytes,
    records: RecordReader<'a>,
    decoding: Decoding<'a>,
}

impl<'a> Request<'a> {
    fn read(&mut self) -> Result<(), Invalid> {
        let mut fields = Fields(self.body);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                1 => self.read_resource_logs(fields.bytes(tag, "resource_logs")?)?,
                _ => fields.skip(tag)?,
            }
        }
        Ok(())
    }

    /// The resource may follow its records, so it is looked for first.
    fn read_resource_logs(&mut self, resource_logs: &'a [u8]) -> Result<(), Invalid> {
        let mut resource = Pieces::default();
        let mut fields = Fields(resource_logs);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                1 => resource.push(fields.bytes(tag, "resource")?, self.decoding.meter())?,
                _ => fields.skip(tag)?,
            }
        }
        let meter = self.decoding.meter();
        let read = resource.read(self.body, |part| source::resource(part, meter));
        let mut resource = Resource::new(read.unwrap_or(Ok(Source::new(RESOURCE))));
        let mut fields = Fields(resource_logs);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                2 => self.read_scope_logs(fields.bytes(tag, "scope_logs")?, &mut resource)?,
                _ => fields.skip(tag)?,
            }
        }
        Ok(())
    }

    /// The scope may follow its records too.
    fn read_scope_logs(
        &mut self,
        scope_logs: &'a [u8],
        resource: &mut Resource,
    ) -> Result<(), Invalid> {
        let mut scope = Pieces::default();
        let mut records = 0;
        let mut fields = Fields(scope_logs);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                1 => scope.push(fields.bytes(tag, "scope")?, self.decoding.meter())?,
                number => {
                    records += usize::from(number == 2);
                    fields.skip(tag)?;
                }
            }
        }
        if records == 0 || self.decoding.is_stopped() {
            return Ok(());
        }
        self.decoding.expect(records);
        let meter = self.decoding.meter();
        let read = scope.read(self.body, |part| source::scope(part, meter));
        let scope = read.unwrap_or(Ok(Source::new(SCOPE)));
        let shared = resource.with_scope(&scope, meter);
        self.read_records(scope_logs, &shared)
    }

    fn read_records(&mut self, scope_logs: &[u8], shared: &Shared) -> Result<(), Invalid> {
        let mut fields = Fields(scope_logs);
        while let Some(tag) = fields.tag()? {
            match tag.number() {
                2 => self.read_record(fields.bytes(tag, "log_records")?, shared),
                _ => fields.skip(tag)?,
            }
            if self.decoding.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    fn read_record(&mut self, record: &[u8], shared: &Shared) {
        self.decoding.add(record, |meter| {
            let common = shared.as_ref().map_err(Clone::clone)?;
            let read = self.records.read(record, common, meter);
            read.map_err(|invalid| invalid.to_string())
        });
    }
}
