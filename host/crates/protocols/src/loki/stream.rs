//! What the records of a stream have in common.

use sluice_types::attributes::{Attribute, Attributes, SharedAttributes};
use sluice_types::record::{LogRecord, Severity, Text, Value, overhead};

use crate::json::fields::{Field, drained, merge_repeated};
use crate::meter::Meter;
use crate::severity;

/// The most attributes of a record.
pub(super) const ATTRIBUTES_MAX: usize = 1024;
/// What says how severe an entry is, the most reliable first: Loki itself
/// guesses the last one.
const LEVELS: [&str; 3] = ["level", "severity", "detected_level"];
const TENANT: Text = Text::from_static("loki.tenant");
const SERVICE_NAME: Text = Text::from_static("service.name");
/// What Loki calls the service.
const SERVICE_LABEL: &str = "service_name";

pub(super) fn too_many_attributes() -> String {
    format!("more than {ATTRIBUTES_MAX} attributes; send fewer")
}

/// The streams of a body, one after the other.
#[derive(Debug)]
pub(super) struct Streams<'a> {
    tenant: Option<&'a str>,
    /// What the labels were read from. Fluent Bit sends the same ones with each
    /// entry.
    source: Option<&'a [u8]>,
    labels: Result<Labels, String>,
    /// The fields that are being read, in memory that is used again.
    fields: Vec<Field>,
}

/// The labels of a stream.
#[derive(Debug)]
pub(super) struct Labels {
    /// Sorted by name.
    shared: SharedAttributes,
    severity: Option<Severity>,
}

impl<'a> Streams<'a> {
    pub(super) const fn new(tenant: Option<&'a str>) -> Self {
        Self {
            tenant,
            source: None,
            labels: Err(String::new()),
            fields: Vec::new(),
        }
    }

    /// Goes on to the stream with these labels.
    pub(super) fn enter(
        &mut self,
        source: &'a [u8],
        meter: &mut Meter,
        read: impl FnOnce(&mut Vec<Field>, &mut Meter) -> Result<(), String>,
    ) {
        if self.source == Some(source) {
            return;
        }
        self.source = Some(source);
        self.fields.clear();
        self.labels = read(&mut self.fields, meter)
            .and_then(|()| Labels::new(&mut self.fields, self.tenant, meter));
    }

    /// Makes a record of an entry, with the attributes that `read` appends to the
    /// list.
    ///
    /// # Errors
    /// What is wrong, worded for the producer.
    pub(super) fn record(
        &mut self,
        read: impl FnOnce(&mut Vec<Field>) -> Result<LogRecord, String>,
    ) -> Result<LogRecord, String> {
        let labels = self.labels.as_ref().map_err(Clone::clone)?;
        self.fields.clear();
        let mut record = read(&mut self.fields)?;
        labels.complete(&mut record, &mut self.fields)?;
        Ok(record)
    }
}

impl Labels {
    /// Charges what they take.
    fn new(
        fields: &mut Vec<Field>,
        tenant: Option<&str>,
        meter: &mut Meter,
    ) -> Result<Self, String> {
        add_service_name(fields);
        if let Some(tenant) = tenant {
            fields.push((TENANT, Value::Text(tenant.into())));
        }
        sort(fields);
        if fields.len() > ATTRIBUTES_MAX {
            return Err(too_many_attributes());
        }
        let texts: usize = fields
            .iter()
            .map(|(name, value)| name.len() + length(value))
            .sum();
        if !meter.charge(overhead(fields.len()).saturating_add(texts)) {
            return Err("no memory for its labels".to_owned());
        }
        Ok(Self {
            severity: severity_of(fields),
            shared: SharedAttributes::new(drained(fields)),
        })
    }

    /// Gives a record the labels and its own attributes, and leaves none of them.
    fn complete(&self, record: &mut LogRecord, own: &mut Vec<Field>) -> Result<(), String> {
        if own.is_empty() {
            record.severity = self.severity.unwrap_or_default();
            record.attributes = Attributes::with_shared(&self.shared, Vec::new());
            return Ok(());
        }
        merge_repeated(own);
        add_service_name(own);
        record.severity = severity_of(own).or(self.severity).unwrap_or_default();
        record.attributes = self.attributes(own)?;
        Ok(())
    }

    fn attributes(&self, own: &mut Vec<Field>) -> Result<Attributes, String> {
        let mut replaced = 0;
        own.retain(|(name, value)| match self.label(name) {
            None => true,
            // winston repeats the level.
            Some((_, same)) if same == value => false,
            Some((name, _)) if *name == TENANT => false,
            Some(_) => {
                replaced += 1;
                true
            }
        });
        let labels = self.shared.list();
        if labels.len() + own.len() - replaced > ATTRIBUTES_MAX {
            return Err(too_many_attributes());
        }
        if replaced == 0 {
            return Ok(Attributes::with_shared(&self.shared, drained(own)));
        }
        let mut all = Vec::with_capacity(labels.len() + own.len() - replaced);
        all.extend_from_slice(labels);
        for (name, value) in own.drain(..) {
            match self.place(&name).and_then(|place| all.get_mut(place)) {
                Some((_, label)) => *label = value,
                None => all.push((name, value)),
            }
        }
        Ok(all.into())
    }

    fn label(&self, name: &Text) -> Option<&Attribute> {
        self.shared.list().get(self.place(name)?)
    }

    fn place(&self, name: &Text) -> Option<usize> {
        let labels = self.shared.list();
        labels.binary_search_by(|(label, _)| label.cmp(name)).ok()
    }
}

/// By name; of repeated names, only the last value stays.
fn sort(fields: &mut Vec<Field>) {
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields.dedup_by(|later, kept| {
        let is_repeated = later.0 == kept.0;
        if is_repeated {
            std::mem::swap(later, kept);
        }
        is_repeated
    });
}

fn add_service_name(fields: &mut Vec<Field>) {
    let last = |wanted: &str| fields.iter().rfind(|(name, _)| name == wanted);
    if let Some((_, service)) = last(SERVICE_LABEL)
        && last(&SERVICE_NAME).is_none()
    {
        fields.push((SERVICE_NAME, service.clone()));
    }
}

fn severity_of(fields: &[Field]) -> Option<Severity> {
    LEVELS.iter().find_map(|level| {
        let (_, value) = fields.iter().find(|(name, _)| name == level)?;
        match value {
            Value::Text(name) => severity::of_name(name),
            _ => None,
        }
    })
}

/// The bytes of a value's text.
fn length(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => 0,
    }
}
