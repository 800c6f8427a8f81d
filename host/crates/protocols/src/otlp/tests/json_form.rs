//! Requests in JSON, as a client could write them.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::*;

/// A request as most clients write it.
pub(super) fn plain(request: &ExportLogsServiceRequest) -> String {
    Writer(None).request(request)
}

/// A request with fields in any order, and each value in any of its forms.
pub(super) fn any_form(request: &ExportLogsServiceRequest, seed: u64) -> String {
    Writer(Some(StdRng::seed_from_u64(seed))).request(request)
}

struct Writer(Option<StdRng>);

impl Writer {
    /// True for each of so many choices, never for plain ones.
    fn chooses(&mut self, one_in: u32) -> bool {
        let rng = self.0.as_mut();
        rng.is_some_and(|rng| rng.random_ratio(1, one_in))
    }

    fn object(&mut self, mut fields: Vec<(&str, String)>) -> String {
        if self.chooses(10) {
            fields.push(("unknown", r#"{"values":[null,{"key":1}]}"#.to_owned()));
        }
        if self.chooses(10) {
            fields.push(("schemaUrl", "null".to_owned()));
        }
        if let Some(rng) = &mut self.0 {
            fields.shuffle(rng);
        }
        self.add_replaced(&mut fields);
        let space = if self.chooses(5) { " \n" } else { "" };
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| format!("{space}{}{space}:{space}{value}", self.name(name)))
            .collect();
        format!("{{{}{space}}}", fields.join(","))
    }

    /// The name of a field, of which some characters may be escaped.
    fn name(&mut self, name: &str) -> String {
        match name.split_at_checked(1) {
            Some((first, rest)) if self.chooses(20) => {
                format!("\"\\u{:04x}{rest}\"", first.as_bytes()[0])
            }
            _ => format!("\"{name}\""),
        }
    }

    /// Adds a value that does not count before the one of the same name that does.
    fn add_replaced(&mut self, fields: &mut Vec<(&str, String)>) {
        let replaced = |name| match name {
            "timeUnixNano" | "observedTimeUnixNano" | "flags" => Some("1"),
            "severityText" | "eventName" | "name" | "version" => Some("\"replaced\""),
            "traceId" => Some("\"5b8efff798038103d269b633813fc60c\""),
            "body" => Some(r#"{"arrayValue":{"values":[{"intValue":1}]}}"#),
            _ => None,
        };
        if !fields.is_empty() && self.chooses(10) {
            let rng = self.0.as_mut().unwrap();
            let at = rng.random_range(0..fields.len());
            let (name, _) = fields[at];
            if let Some(value) = replaced(name) {
                fields.insert(rng.random_range(0..=at), (name, value.to_owned()));
            }
        }
    }

    /// Null, or nothing, for a field that says nothing.
    fn nothing<'n>(&mut self, name: &'n str) -> Option<(&'n str, String)> {
        self.chooses(2).then(|| (name, "null".to_owned()))
    }

    fn array<T>(&mut self, of: &[T], mut each: impl FnMut(&mut Self, &T) -> String) -> String {
        let elements: Vec<_> = of.iter().map(|element| each(self, element)).collect();
        format!("[{}]", elements.join(","))
    }

    fn text(&mut self, text: &str) -> String {
        if !self.chooses(4) {
            return serde_json::to_string(text).unwrap();
        }
        let escaped = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", escaped.collect::<String>())
    }

    fn whole(&mut self, number: impl Display) -> String {
        match self.chooses(2) {
            true => number.to_string(),
            false => format!("\"{number}\""),
        }
    }

    fn float(&mut self, float: f64) -> String {
        match float {
            float if float.is_nan() => "\"NaN\"".to_owned(),
            f64::INFINITY => "\"Infinity\"".to_owned(),
            f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
            float if self.chooses(4) => format!("\"{float:e}\""),
            float => serde_json::to_string(&float).unwrap(),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> String {
        let engine = match (self.chooses(3), self.chooses(3)) {
            (true, _) => STANDARD_NO_PAD,
            (_, true) => URL_SAFE,
            _ => STANDARD,
        };
        format!("\"{}\"", engine.encode(bytes))
    }

    fn id(&mut self, id: &[u8]) -> String {
        let text = hex::encode(id);
        match self.chooses(2) {
            true => format!("\"{}\"", text.to_uppercase()),
            false => format!("\"{text}\""),
        }
    }

    fn value(&mut self, value: &AnyValue) -> String {
        let Some(value) = &value.value else {
            return "{}".to_owned();
        };
        let field = match value {
            Any::StringValue(text) => ("stringValue", self.text(text)),
            Any::BoolValue(boolean) => ("boolValue", boolean.to_string()),
            Any::IntValue(integer) => ("intValue", self.whole(integer)),
            Any::DoubleValue(float) => ("doubleValue", self.float(*float)),
            Any::BytesValue(bytes) => ("bytesValue", self.bytes(bytes)),
            Any::StringValueStrindex(_) => return "{}".to_owned(),
            Any::ArrayValue(array) => {
                let values = self.array(&array.values, Self::value);
                ("arrayValue", self.object(vec![("values", values)]))
            }
            Any::KvlistValue(list) => {
                let values = self.array(&list.values, Self::pair);
                ("kvlistValue", self.object(vec![("values", values)]))
            }
        };
        self.object(vec![field])
    }

    fn pair(&mut self, pair: &KeyValue) -> String {
        let mut fields = vec![("key", self.text(&pair.key))];
        match &pair.value {
            Some(value) => fields.push(("value", self.value(value))),
            None => fields.extend(self.nothing("value")),
        }
        self.object(fields)
    }

    fn record(&mut self, record: &ProtoRecord) -> String {
        let mut fields = vec![
            ("timeUnixNano", self.whole(record.time_unix_nano)),
            ("severityNumber", record.severity_number.to_string()),
            ("severityText", self.text(&record.severity_text)),
            ("attributes", self.array(&record.attributes, Self::pair)),
            ("flags", record.flags.to_string()),
            ("traceId", self.id(&record.trace_id)),
            ("spanId", self.id(&record.span_id)),
            ("eventName", self.text(&record.event_name)),
        ];
        let observed = record.observed_time_unix_nano;
        fields.push(("observedTimeUnixNano", self.whole(observed)));
        match &record.body {
            Some(body) => fields.push(("body", self.value(body))),
            None => fields.extend(self.nothing("body")),
        }
        self.object(fields)
    }

    fn scope_logs(&mut self, logs: &ScopeLogs) -> String {
        let mut fields = vec![("logRecords", self.array(&logs.log_records, Self::record))];
        if let Some(scope) = &logs.scope {
            let scope = vec![
                ("name", self.text(&scope.name)),
                ("version", self.text(&scope.version)),
                ("attributes", self.array(&scope.attributes, Self::pair)),
            ];
            fields.insert(0, ("scope", self.object(scope)));
        } else {
            fields.extend(self.nothing("scope"));
        }
        self.object(fields)
    }

    fn resource_logs(&mut self, logs: &ResourceLogs) -> String {
        let mut fields = vec![("scopeLogs", self.array(&logs.scope_logs, Self::scope_logs))];
        if let Some(resource) = &logs.resource {
            let attributes = self.array(&resource.attributes, Self::pair);
            let resource = self.object(vec![("attributes", attributes)]);
            fields.insert(0, ("resource", resource));
        } else {
            fields.extend(self.nothing("resource"));
        }
        self.object(fields)
    }

    fn request(&mut self, request: &ExportLogsServiceRequest) -> String {
        let logs = self.array(&request.resource_logs, Self::resource_logs);
        self.object(vec![("resourceLogs", logs)])
    }
}
