//! Decodes a request, from its resources down to its records.

use std::rc::Rc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::record::RecordReader;
use super::source;
use super::visit::{Array, Elements, Fields, Object};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::json::share::Share;
use crate::meter::Meter;
use crate::otlp::common::{RESOURCE, Resource, SCOPE, Shared, Source};
use crate::otlp::invalid::Invalid;
use sluice_types::record::Text;

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
    if !whole.trim_start().starts_with('{') {
        return Err(malformed(&"it is not an object"));
    }
    let request = Request {
        whole: &whole,
        records: RecordReader::new(&whole, observed),
        decoding: Decoding::new(meter, most),
    };
    let mut deserializer = serde_json::Deserializer::from_str(&whole);
    let read = Object(request).deserialize(&mut deserializer);
    let read = read.and_then(|request| deserializer.end().map(|()| request));
    let request = read.map_err(|error| malformed(&error))?;
    Ok(request.decoding.finish(body.len()))
}

/// A request that is being decoded.
struct Request<'a> {
    whole: &'a Text,
    records: RecordReader<'a>,
    decoding: Decoding<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RequestName {
    ResourceLogs,
    #[serde(other)]
    Other,
}

impl Request<'_> {
    fn read_source(&mut self, prefix: &'static str, raw: &RawValue) -> Result<Source, Invalid> {
        let whole = self.whole;
        let meter = self.decoding.meter();
        source::read(prefix, raw, &mut Share { whole, meter })
    }
}

impl<'de> Fields<'de> for Request<'_> {
    type Name = RequestName;
    const WHAT: &'static str = "a request";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: RequestName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            RequestName::ResourceLogs => values.next_value_seed(Array(self)).map(drop),
            RequestName::Other => values.next_value().map(|IgnoredAny| ()),
        }
    }
}

impl<'de> Elements<'de> for Request<'_> {
    const WHAT: &'static str = "resourceLogs";

    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error> {
        let logs = ResourceLogs {
            request: self,
            resource: None,
            early: None,
        };
        let Some(logs) = elements.next_element_seed(Object(logs))? else {
            return Ok(false);
        };
        logs.finish().map_err(A::Error::custom)?;
        Ok(true)
    }
}

/// The logs of a resource. The resource may follow them.
struct ResourceLogs<'de, 'r, 'a> {
    request: &'r mut Request<'a>,
    resource: Option<Resource>,
    /// The logs, if they came before the resource.
    early: Option<&'de RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ResourceLogsName {
    Resource,
    ScopeLogs,
    #[serde(other)]
    Other,
}

impl<'de> Fields<'de> for ResourceLogs<'de, '_, '_> {
    type Name = ResourceLogsName;
    const WHAT: &'static str = "resourceLogs";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: ResourceLogsName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        match (name, &mut self.resource) {
            (ResourceLogsName::Resource, None) => {
                let source = self.request.read_source(RESOURCE, values.next_value()?);
                self.resource = Some(Resource::new(source));
            }
            (ResourceLogsName::Resource, Some(_)) => {
                return Err(A::Error::duplicate_field("resource"));
            }
            (ResourceLogsName::ScopeLogs, Some(resource)) => {
                let request = &mut *self.request;
                values.next_value_seed(Array(Scopes { request, resource }))?;
            }
            (ResourceLogsName::ScopeLogs, None) if self.early.is_some() => {
                return Err(A::Error::duplicate_field("scopeLogs"));
            }
            (ResourceLogsName::ScopeLogs, None) => self.early = Some(values.next_value()?),
            (ResourceLogsName::Other, _) => drop(values.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl ResourceLogs<'_, '_, '_> {
    fn finish(mut self) -> Result<(), serde_json::Error> {
        let Some(early) = self.early else {
            return Ok(());
        };
        let none = || Resource::new(Ok(Source::new(RESOURCE)));
        let scopes = Scopes {
            request: self.request,
            resource: self.resource.get_or_insert_with(none),
        };
        let mut deserializer = serde_json::Deserializer::from_str(early.get());
        Array(scopes).deserialize(&mut deserializer).map(drop)
    }
}

/// The logs of a resource's scopes.
struct Scopes<'r, 'a> {
    request: &'r mut Request<'a>,
    resource: &'r mut Resource,
}

impl<'de> Elements<'de> for Scopes<'_, '_> {
    const WHAT: &'static str = "scopeLogs";

    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error> {
        let logs = ScopeLogs {
            request: &mut *self.request,
            resource: &mut *self.resource,
            scope: None,
            early: None,
        };
        let Some(logs) = elements.next_element_seed(Object(logs))? else {
            return Ok(false);
        };
        logs.finish().map_err(A::Error::custom)?;
        Ok(true)
    }
}

/// The logs of a scope. The scope may follow them.
struct ScopeLogs<'de, 'r, 'a> {
    request: &'r mut Request<'a>,
    resource: &'r mut Resource,
    scope: Option<Result<Source, Invalid>>,
    /// The logs, if they came before the scope.
    early: Option<&'de RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum ScopeLogsName {
    Scope,
    LogRecords,
    #[serde(other)]
    Other,
}

impl<'de> Fields<'de> for ScopeLogs<'de, '_, '_> {
    type Name = ScopeLogsName;
    const WHAT: &'static str = "scopeLogs";

    fn field<A: MapAccess<'de>>(
        &mut self,
        name: ScopeLogsName,
        values: &mut A,
    ) -> Result<(), A::Error> {
        match (name, &self.scope) {
            (ScopeLogsName::Scope, None) => {
                self.scope = Some(self.request.read_source(SCOPE, values.next_value()?));
            }
            (ScopeLogsName::Scope, Some(_)) => return Err(A::Error::duplicate_field("scope")),
            (ScopeLogsName::LogRecords, Some(scope)) => {
                let records = Records {
                    request: &mut *self.request,
                    resource: &mut *self.resource,
                    scope,
                    shared: None,
                };
                values.next_value_seed(Array(records))?;
            }
            (ScopeLogsName::LogRecords, None) if self.early.is_some() => {
                return Err(A::Error::duplicate_field("logRecords"));
            }
            (ScopeLogsName::LogRecords, None) => self.early = Some(values.next_value()?),
            (ScopeLogsName::Other, _) => drop(values.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl ScopeLogs<'_, '_, '_> {
    fn finish(mut self) -> Result<(), serde_json::Error> {
        let Some(early) = self.early else {
            return Ok(());
        };
        let records = Records {
            request: self.request,
            resource: self.resource,
            scope: self.scope.get_or_insert(Ok(Source::new(SCOPE))),
            shared: None,
        };
        let mut deserializer = serde_json::Deserializer::from_str(early.get());
        Array(records).deserialize(&mut deserializer).map(drop)
    }
}

/// The records of a scope.
struct Records<'r, 'a> {
    request: &'r mut Request<'a>,
    resource: &'r mut Resource,
    scope: &'r Result<Source, Invalid>,
    /// What they have in common, from the first one on.
    shared: Option<Rc<Shared>>,
}

impl<'de> Elements<'de> for Records<'_, '_> {
    const WHAT: &'static str = "logRecords";

    fn element<A: SeqAccess<'de>>(&mut self, elements: &mut A) -> Result<bool, A::Error> {
        let Some(raw) = elements.next_element::<&RawValue>()? else {
            return Ok(false);
        };
        let Request {
            records, decoding, ..
        } = &mut *self.request;
        let share = || self.resource.with_scope(self.scope, decoding.meter());
        let shared = Rc::clone(self.shared.get_or_insert_with(share));
        decoding.add(raw.get().as_bytes(), |meter| {
            let common = shared.as_ref().as_ref().map_err(Clone::clone)?;
            let read = records.read(raw, common, meter);
            read.map_err(|invalid| invalid.to_string())
        });
        match decoding.is_stopped() {
            true => Err(A::Error::custom("decoding was stopped")),
            false => Ok(true),
        }
    }
}
