//! A record on one line, for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;

use crate::tail::{Fate, RecordEvent};
use sluice_types::readable;
use sluice_types::record_document::SeverityDocument;

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The most characters of a text or a value.
const CHARS_MAX: usize = 5_000;

/// Time, severity, outcome, latency, text, attributes and the reason.
pub(super) fn line(event: &RecordEvent, in_color: bool) -> String {
    let paint = |color: Option<&str>, text: &str| match color.filter(|_| in_color) {
        Some(color) => format!("{color}{text}{RESET}"),
        None => text.to_owned(),
    };
    let (severity, color) = severity(event.severity);
    let severity = paint(color, &format!("{severity:<5}"));
    let (outcome, color) = outcome(event.outcome);
    let outcome = paint(color, &format!("{outcome:<11}"));
    let mut line = format!(
        "{} {severity} {outcome} {:>7} {}",
        time(&event.time),
        latency(event.latency_us),
        readable::line(&event.body, CHARS_MAX),
    );
    let mut details = String::new();
    for (name, value) in &event.attributes {
        let name = readable::line(name, CHARS_MAX);
        // Writing to a string does not fail.
        _ = write!(details, " {name}={}", shown(value));
    }
    if let Some(key) = &event.key {
        _ = write!(details, " id={}", readable::line(key, CHARS_MAX));
    }
    if event.cut {
        details.push_str(" (cut)");
    }
    line.push_str(&match details.is_empty() {
        true => details,
        false => paint(Some(DIM), &details),
    });
    if let Some(reason) = &event.reason {
        let reason = format!(" ({})", readable::error(reason));
        line.push_str(&paint(color, &reason));
    }
    line
}

fn severity(severity: Option<SeverityDocument>) -> (&'static str, Option<&'static str>) {
    let color = match severity {
        None | Some(SeverityDocument::Info) => None,
        Some(SeverityDocument::Trace | SeverityDocument::Debug) => Some(DIM),
        Some(SeverityDocument::Warn) => Some(YELLOW),
        Some(SeverityDocument::Error | SeverityDocument::Fatal) => Some(RED),
    };
    (severity_name(severity), color)
}

/// A severity in at most five characters.
pub(in crate::cli) const fn severity_name(severity: Option<SeverityDocument>) -> &'static str {
    match severity {
        None => "-",
        Some(SeverityDocument::Trace) => "TRACE",
        Some(SeverityDocument::Debug) => "DEBUG",
        Some(SeverityDocument::Info) => "INFO",
        Some(SeverityDocument::Warn) => "WARN",
        Some(SeverityDocument::Error) => "ERROR",
        Some(SeverityDocument::Fatal) => "FATAL",
    }
}

const fn outcome(fate: Fate) -> (&'static str, Option<&'static str>) {
    let color = match fate {
        Fate::Delivered => None,
        Fate::Retried => Some(YELLOW),
        Fate::Refused | Fate::DeadLetter | Fate::Unknown => Some(RED),
    };
    (outcome_name(fate), color)
}

/// An outcome in at most eleven characters.
pub(in crate::cli) const fn outcome_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Delivered => "delivered",
        Fate::Retried => "retried",
        Fate::Refused => "refused",
        Fate::DeadLetter => "dead letter",
        Fate::Unknown => "unknown",
    }
}

/// The time to the millisecond, as far as it can be read.
fn time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => format!("{time:.3}"),
        Err(_) => readable::error(text),
    }
}

/// Microseconds in at most seven characters, if it is less than a week.
fn latency(micros: u64) -> String {
    let (milli, rest) = (micros / 1000, micros % 1000);
    match milli {
        0 => format!("{micros}µs"),
        1..100 => format!("{milli}.{}ms", rest / 100),
        100..10_000 => format!("{milli}ms"),
        _ => format!("{}s", milli / 1000),
    }
}

/// A text as it is, if it needs no quotes; any other value as JSON.
fn shown(value: &Value) -> String {
    let is_plain = |text: &str| {
        let needs_quotes = |c: char| c.is_whitespace() || matches!(c, '"' | '=');
        !text.is_empty() && !text.contains(needs_quotes)
    };
    match value {
        Value::String(text) if is_plain(text) => readable::line(text, CHARS_MAX),
        other => readable::line(other, CHARS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> RecordEvent {
        RecordEvent {
            id: "7-12".to_owned(),
            key: Some("k".to_owned()),
            outcome: Fate::Refused,
            reason: Some("no\nsuch index".to_owned()),
            latency_us: 1234,
            time: "2026-11-20T09:00:00.123456Z".to_owned(),
            severity: Some(SeverityDocument::Warn),
            body: "a \u{1b}[2Jtext".to_owned(),
            attributes: serde_json::from_str(r#"{"a":"x","b":"y z","c":[1]}"#).unwrap(),
            cut: true,
        }
    }

    #[test]
    fn a_line_has_everything_and_nothing_that_a_terminal_obeys() {
        let expected = "2026-11-20T09:00:00.123Z WARN  refused       1.2ms a \\u{1b}[2Jtext a=x \
                        b=\"y z\" c=[1] id=k (cut) (no\\nsuch index)";
        assert_eq!(line(&event(), false), expected);
        let colored = line(&event(), true);
        assert!(colored.contains("\x1b[33mWARN \x1b[0m \x1b[31mrefused    \x1b[0m"));
        let mut plain = colored;
        for code in [RED, YELLOW, DIM, RESET] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, expected);
    }

    #[test]
    fn a_latency_is_short() {
        for (micros, text) in [
            (0, "0µs"),
            (999, "999µs"),
            (1000, "1.0ms"),
            (99_999, "99.9ms"),
            (100_000, "100ms"),
            (9_999_999, "9999ms"),
            (10_000_000, "10s"),
            (86_400_000_000, "86400s"),
        ] {
            assert_eq!(latency(micros), text);
        }
    }
}
