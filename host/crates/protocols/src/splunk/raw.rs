//! Decodes the bodies of `/services/collector/raw`: a line for each record, and
//! what is said of all of them in the query.

use bytes::Bytes;

use super::{HOST, INDEX, SOURCE, SOURCETYPE, answer};
use crate::decoded::{Decoded, Decoding};
use crate::error::DecodeError;
use crate::meter::Meter;
use crate::query;
use crate::{text, time};
use sluice_types::attributes::{Attribute, Attributes, SharedAttributes};
use sluice_types::record::{LogRecord, Text, Value};

/// What a shared attribute takes in addition to its texts, in bytes: its place in
/// the list, and the bookkeeping of two texts.
const ATTRIBUTE_BYTES: usize = 128;

/// One record for each line that is not empty; `most` at most. The query can have
/// `host`, `source`, `sourcetype`, `index` and `time` for all of them. Other
/// values, such as `channel` and `token`, are not looked at.
///
/// # Errors
/// There is no line, or the time in the query is none.
pub fn decode(
    body: &Bytes,
    query: &str,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let shared = metadata(query, meter);
    let timestamp = match query::value(query, "time").filter(|time| !time.is_empty()) {
        Some(time) => time::exact_nanoseconds(&Text::from(time.into_owned()))
            .map_err(DecodeError::Malformed)?,
        None => 0,
    };
    let model = LogRecord {
        timestamp: if timestamp == 0 { observed } else { timestamp },
        observed,
        ..LogRecord::default()
    };
    let mut decoding = Decoding::new(meter, most);
    let mut rest = Some(&**body);
    while let Some(bytes) = rest
        && !decoding.is_stopped()
    {
        let (line, later) = match memchr::memchr(b'\n', bytes) {
            Some(at) => (bytes.get(..at), bytes.get(at + 1..)),
            None => (Some(bytes), None),
        };
        let line = line.unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            decoding.add(line, |meter| record(&model, &shared, body, line, meter));
        }
        rest = later;
    }
    answer::unless_all_rejected(decoding.finish(body.len()))
}

fn record(
    model: &LogRecord,
    shared: &SharedAttributes,
    body: &Bytes,
    line: &[u8],
    meter: &mut Meter,
) -> Result<LogRecord, String> {
    let (text, original) = text::body(body, line, meter).ok_or("stopped")?;
    let own = original.map(|original| (text::ORIGINAL, original));
    Ok(LogRecord {
        body: text,
        attributes: Attributes::with_shared(shared, own.into_iter().collect()),
        ..model.clone()
    })
}

/// What the query says of all lines.
fn metadata(query: &str, meter: &mut Meter) -> SharedAttributes {
    let named = [
        ("host", HOST),
        ("source", SOURCE),
        ("sourcetype", SOURCETYPE),
        ("index", INDEX),
    ];
    let attributes = named.into_iter().filter_map(|(name, attribute)| {
        let value = query::value(query, name).filter(|value| !value.is_empty())?;
        let bytes = ATTRIBUTE_BYTES + attribute.len() + value.len();
        let value = Value::Text(Text::from(value.into_owned()));
        meter
            .charge(bytes)
            .then_some::<Attribute>((attribute, value))
    });
    SharedAttributes::new(attributes.collect())
}
