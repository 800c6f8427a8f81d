//! Random requests.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Names and texts that mean something to the decoder, and some that do not.
const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "key",
    "name",
    "version",
    "resource.a",
    "resource.b",
    "scope.name",
    "scope.a",
    "trace_id",
    "trace_flags",
    "severity_text",
    "event.name",
    "INFO",
    "warning",
    "Notice",
    "é世\u{1f600}",
    "\"\\/\n\u{0}\u{7f}",
    "null",
    "a text that is longer than 127 bytes, so that its length takes two bytes of the message; \
     all of it is plain ASCII, and nothing needs an escape",
];

/// The request of this seed.
pub(super) fn request(seed: u64) -> ExportLogsServiceRequest {
    let mut generator = Generator(StdRng::seed_from_u64(seed));
    ExportLogsServiceRequest {
        resource_logs: generator.many(3, Generator::resource_logs),
    }
}

struct Generator(StdRng);

impl Generator {
    fn many<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.0.random_range(0..=most);
        (0..count).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.random_bool(0.8).then(|| one(self))
    }

    fn text(&mut self) -> String {
        TEXTS[self.0.random_range(0..TEXTS.len())].to_owned()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.many(20, |generator| generator.0.random())
    }

    fn number(&mut self) -> u64 {
        let number: u64 = self.0.random();
        number >> self.0.random_range(0..64)
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let value = match self.0.random_range(0..if depth < 4 { 10 } else { 8 }) {
            0 => return AnyValue::default(),
            1 => Any::BoolValue(self.0.random()),
            2 => Any::IntValue(self.number().cast_signed()),
            3 => Any::DoubleValue(self.float()),
            4 => Any::BytesValue(self.bytes()),
            5 => Any::StringValueStrindex(1),
            6 | 7 => Any::StringValue(self.text()),
            8 => Any::ArrayValue(ArrayValue {
                values: self.many(4, |generator| generator.value(depth + 1)),
            }),
            _ => Any::KvlistValue(KeyValueList {
                values: self.many(4, |generator| generator.pair(depth + 1)),
            }),
        };
        any(value)
    }

    fn float(&mut self) -> f64 {
        match self.0.random_range(0..8) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => 3.0,
            _ => match f64::from_bits(self.0.random()) {
                float if float.is_finite() => float,
                _ => 0.1,
            },
        }
    }

    fn pair(&mut self, depth: usize) -> KeyValue {
        KeyValue {
            key: self.text(),
            value: self.maybe(|generator| generator.value(depth)),
            ..KeyValue::default()
        }
    }

    fn pairs(&mut self) -> Vec<KeyValue> {
        // More than a few are looked up in another way.
        let most = if self.0.random_bool(0.1) { 40 } else { 5 };
        self.many(most, |generator| generator.pair(0))
    }

    fn record(&mut self) -> ProtoRecord {
        let id = |generator: &mut Self, length| match generator.0.random_range(0..4) {
            0 => Vec::new(),
            1 => vec![0; length],
            2 => generator.bytes(),
            _ => (0..length).map(|_| generator.0.random()).collect(),
        };
        ProtoRecord {
            time_unix_nano: self.maybe(Self::number).unwrap_or(0),
            observed_time_unix_nano: self.maybe(Self::number).unwrap_or(0),
            severity_number: self.0.random_range(-2..30),
            severity_text: self.text(),
            body: self.maybe(|generator| generator.value(0)),
            attributes: self.pairs(),
            dropped_attributes_count: self.0.random_range(0..300),
            flags: self.0.random_range(0..600),
            trace_id: id(self, 16),
            span_id: id(self, 8),
            event_name: self.text(),
        }
    }

    fn scope_logs(&mut self) -> ScopeLogs {
        let scope = |generator: &mut Self| InstrumentationScope {
            name: generator.text(),
            version: generator.text(),
            attributes: generator.pairs(),
            dropped_attributes_count: 1,
        };
        ScopeLogs {
            scope: self.maybe(scope),
            log_records: self.many(5, Self::record),
            schema_url: self.text(),
        }
    }

    fn resource_logs(&mut self) -> ResourceLogs {
        let resource = |generator: &mut Self| Resource {
            attributes: generator.pairs(),
            dropped_attributes_count: 1,
            ..Resource::default()
        };
        ResourceLogs {
            resource: self.maybe(resource),
            scope_logs: self.many(3, Self::scope_logs),
            schema_url: self.text(),
        }
    }
}
