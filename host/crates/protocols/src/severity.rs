//! Severities as producers write them, in OpenTelemetry's six ranges.

use sluice_types::record::{Severity, Value};

/// No name of a severity is longer, in bytes.
const NAME_BYTES_MAX: usize = 16;
/// OpenTelemetry's ranges of four severity numbers each, from 1 on.
const RANGES: [Severity; 6] = [
    Severity::Trace,
    Severity::Debug,
    Severity::Info,
    Severity::Warn,
    Severity::Error,
    Severity::Fatal,
];

/// OpenTelemetry's severity number, 1 to 24; `None` for any other.
#[must_use]
pub fn of_number(number: i64) -> Option<Severity> {
    let range = usize::try_from(number.checked_sub(1)?).ok()? / 4;
    RANGES.get(range).copied()
}

/// A syslog severity, 0 (emergency) to 7 (debug), as OpenTelemetry maps them;
/// `None` for any other.
#[must_use]
pub const fn of_syslog(number: u8) -> Option<Severity> {
    match number {
        0..=2 => Some(Severity::Fatal),
        3 => Some(Severity::Error),
        4 => Some(Severity::Warn),
        5 | 6 => Some(Severity::Info),
        7 => Some(Severity::Debug),
        _ => None,
    }
}

/// A name in common use, in upper or lower case.
#[must_use]
pub fn of_name(name: &str) -> Option<Severity> {
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    match &*lower {
        b"trace" => Some(Severity::Trace),
        b"debug" => Some(Severity::Debug),
        b"info" | b"information" | b"informational" | b"notice" => Some(Severity::Info),
        b"warn" | b"warning" => Some(Severity::Warn),
        b"error" | b"err" => Some(Severity::Error),
        b"fatal" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" => {
            Some(Severity::Fatal)
        }
        _ => None,
    }
}

/// OpenTelemetry's severity number, or a name in common use.
#[must_use]
pub fn of_value(value: &Value) -> Option<Severity> {
    match value {
        Value::Integer(number) => of_number(*number),
        Value::Text(name) => of_name(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scale_has_its_ends() {
        assert_eq!(of_number(0), None);
        assert_eq!(of_number(1), Some(Severity::Trace));
        assert_eq!(of_number(4), Some(Severity::Trace));
        assert_eq!(of_number(24), Some(Severity::Fatal));
        assert_eq!(of_number(25), None);
        assert_eq!(of_number(i64::MIN), None);
        assert_eq!(of_syslog(0), Some(Severity::Fatal));
        assert_eq!(of_syslog(7), Some(Severity::Debug));
        assert_eq!(of_syslog(8), None);
        assert_eq!(of_name("WARNING"), Some(Severity::Warn));
        assert_eq!(of_name("a name that is too long"), None);
    }
}
