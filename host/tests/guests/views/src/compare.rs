//! Compares all views of a batch with its records.

use crate::bindings::sluice::sink::types::{Batch, LogRecord, Texts, Value};
use crate::lines;

/// # Errors
/// The first view that says something else.
pub(crate) fn all(batch: &Batch) -> Result<(), String> {
    let records = batch.records();
    let records = records.as_slice();
    same(
        "len",
        usize::try_from(batch.len()).ok() == Some(records.len()),
    )?;
    let text = |line: fn(&LogRecord) -> String| records.iter().map(line).collect::<String>();
    same(
        "text-lines",
        batch.text_lines() == text(lines::text).as_bytes(),
    )?;
    same(
        "json-lines",
        batch.json_lines() == text(lines::json).as_bytes(),
    )?;
    let bodies = texts(&batch.bodies())?;
    same("bodies", bodies.iter().eq(records.iter().map(|r| &r.body)))?;
    let keys = texts(&batch.keys())?;
    let key = |record: &LogRecord| record.key.clone().unwrap_or_default();
    same("keys", keys.into_iter().eq(records.iter().map(key)))?;
    let timestamps = records.iter().map(|record| record.timestamp);
    same("timestamps", batch.timestamps().into_iter().eq(timestamps))?;
    let observed = records.iter().map(|record| record.observed);
    same("observed", batch.observed().into_iter().eq(observed))?;
    let severities = records.iter().map(|record| record.severity);
    same("severities", batch.severities().into_iter().eq(severities))?;
    let ids = batch.ids().into_iter().map(|id| (id.epoch, id.sequence));
    let own_ids = records.iter().map(|r| (r.id.epoch, r.id.sequence));
    same("ids", ids.eq(own_ids))?;
    same("attributes", attributes(batch) == own_attributes(records))
}

fn same(view: &str, is_same: bool) -> Result<(), String> {
    match is_same {
        true => Ok(()),
        false => Err(format!("{view} differs from records")),
    }
}

fn texts(texts: &Texts) -> Result<Vec<String>, String> {
    let text = |place: &[u32]| {
        let [start, end] = place else { return None };
        let (start, end) = (usize::try_from(*start).ok()?, usize::try_from(*end).ok()?);
        String::from_utf8(texts.bytes.get(start..end)?.to_vec()).ok()
    };
    let ends = (texts.offsets.first(), texts.offsets.last().copied());
    let length = u32::try_from(texts.bytes.len()).ok();
    if ends != (Some(&0), length) {
        return Err("the offsets do not cover the bytes".to_owned());
    }
    let all: Option<_> = texts.offsets.windows(2).map(text).collect();
    all.ok_or_else(|| "a text has no place, or is not UTF-8".to_owned())
}

/// The attributes of each record, in a form that can be compared. A float is
/// shown by its bits.
type Shown = Option<Vec<Vec<(String, String)>>>;

fn own_attributes(records: &[LogRecord]) -> Shown {
    let of = |record: &LogRecord| {
        let attributes = record.attributes.iter();
        let shown = attributes.map(|(name, value)| (name.clone(), show(value)));
        shown.collect()
    };
    Some(records.iter().map(of).collect())
}

fn attributes(batch: &Batch) -> Shown {
    let view = batch.attributes();
    let of = |place: &[u32]| {
        let [start, end] = place else { return None };
        let all = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        let attribute = |place: usize| {
            let name = usize::try_from(*view.name_of.get(place)?).ok()?;
            Some((view.names.get(name)?.clone(), show(view.values.get(place)?)))
        };
        all.map(attribute).collect()
    };
    view.offsets.windows(2).map(of).collect()
}

fn show(value: &Value) -> String {
    match value {
        Value::Float(number) => format!("float {:x}", number.to_bits()),
        other => format!("{other:?}"),
    }
}
