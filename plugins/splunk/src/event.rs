//! What Splunk gets of a record: an event with its envelope.

use sluice_sink::{Batch, Lines, Row, Rows, Severity, Value, json, time};

use crate::config::{Config, Event, Member};

/// The records of a write.
pub(crate) struct Events<'a> {
    event: Event,
    envelope: [Member<'a>; 4],
    rows: Rows<'a>,
    /// One JSON object per record, if any is needed.
    objects: &'a [&'a [u8]],
}

/// The JSON objects of the records if events are made of them. Splunk takes no blank
/// text as an event, so a record without a message is sent as its object, too.
pub(crate) fn objects(config: &Config, batch: &Batch) -> Lines {
    let is_needed = match config.event {
        Event::Json => true,
        Event::Text => batch.bodies().iter().any(is_blank),
    };
    if is_needed {
        batch.json_lines()
    } else {
        Lines::default()
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

impl<'a> Events<'a> {
    pub(crate) fn new(config: &'a Config, batch: &'a Batch, objects: &'a [&'a [u8]]) -> Self {
        Self {
            event: config.event,
            envelope: config.envelope(),
            rows: batch.rows(),
            objects,
        }
    }

    /// Whether the record names its own value for this attribute of the envelope.
    pub(crate) fn names_its_own(&self, index: usize, attribute: Option<&str>) -> bool {
        let row = self.rows.get(index);
        attribute
            .and_then(|name| row.attribute(name))
            .is_some_and(is_usable)
    }

    /// Appends the event of a record, and a line feed.
    pub(crate) fn push(&self, index: usize, out: &mut Vec<u8>) {
        let row = self.rows.get(index);
        out.extend_from_slice(br#"{"time":"#);
        time::unix_seconds(row.timestamp(), out);
        for member in &self.envelope {
            push_member(member, row, out);
        }
        out.extend_from_slice(br#","event":"#);
        let is_object = self.event == Event::Json || is_blank(row.body());
        match self.objects.get(index).filter(|_| is_object) {
            Some(object) => out.extend_from_slice(object),
            None => {
                json::string(row.body(), out);
                self.push_fields(row, out);
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn push_fields(&self, row: Row<'_>, out: &mut Vec<u8>) {
        let mut before: &[u8] = br#","fields":{"#;
        let mut push = |name: &str, value: &Value| {
            out.extend_from_slice(before);
            json::string(name, out);
            out.push(b':');
            json::text_of(value, out);
            before = b",";
        };
        for (name, value) in row.attributes() {
            let mut envelope = self.envelope.iter();
            let is_in_envelope = envelope.any(|member| member.attribute == Some(name));
            if !is_in_envelope || !is_usable(value) {
                push(name, value);
            }
        }
        let is_free = |name| row.attribute(name).is_none();
        if row.severity() != Severity::Unspecified && is_free("severity") {
            push("severity", &row.severity().name().into());
        }
        if let (Some(key), true) = (row.key(), is_free("id")) {
            push("id", &key.into());
        }
        if before == b"," {
            out.push(b'}');
        }
    }
}

/// Whether the value can be one of the envelope.
fn is_usable(value: &Value) -> bool {
    !value.to_text().is_empty()
}

fn push_member(member: &Member<'_>, row: Row<'_>, out: &mut Vec<u8>) {
    let own = member.attribute.and_then(|name| row.attribute(name));
    let own = own.filter(|value| is_usable(value));
    if own.is_none() && member.fixed.is_none() {
        return;
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(member.name.as_bytes());
    out.extend_from_slice(b"\":");
    match own {
        Some(value) => json::text_of(value, out),
        None => json::string(member.fixed.unwrap_or_default(), out),
    }
}
