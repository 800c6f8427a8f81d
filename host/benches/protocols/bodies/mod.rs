//! What clients send: the same records in the form of each protocol.

pub(crate) mod forward;
pub(crate) mod json;
pub(crate) mod loki;
pub(crate) mod otlp;
mod protobuf;
pub(crate) mod syslog;

/// The records of each request.
pub(crate) const RECORDS: usize = 1000;
/// The time of the first record, in seconds since 1970: 2026-11-20T09:00:00Z.
pub(crate) const SECONDS: u64 = 1_795_165_200;
/// The service that all records come from, in protocols that say this once per
/// request or in a header.
pub(crate) const SERVICE: &str = "checkout";

/// A record of a request to a web service.
pub(crate) struct Record {
    /// When it happened, in nanoseconds behind [`SECONDS`], less than a second.
    pub(crate) nanos: u64,
    pub(crate) message: String,
    pub(crate) attributes: [(&'static str, Value); 5],
}

/// The value of an attribute. Texts need no escape.
pub(crate) enum Value {
    Text(String),
    Number(u64),
}

impl Value {
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Number(number) => number.to_string(),
        }
    }
}

pub(crate) fn records() -> Vec<Record> {
    (0..RECORDS as u64).map(record).collect()
}

fn record(number: u64) -> Record {
    let path = format!("/api/v1/orders/{}", 40_000 + number);
    let milliseconds = 3 + number % 97;
    Record {
        nanos: number * 1_000_000,
        message: format!("POST {path} answered 200 after {milliseconds} ms"),
        attributes: [
            ("http.method", Value::Text("POST".to_owned())),
            ("http.path", Value::Text(path)),
            ("http.status", Value::Number(200)),
            ("elapsed_ms", Value::Number(milliseconds)),
            ("user.id", Value::Text(format!("u-{:08}", number * 7919))),
        ],
    }
}
