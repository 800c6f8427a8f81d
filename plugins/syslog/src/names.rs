//! Facilities and severities as numbers.

use sluice_sink::Severity;

use crate::config::Facility;

/// The names of the facilities in the order of their numbers, as Sluice's own syslog
/// receiver gives them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// The priority of a message: its facility by name, if that is known, and severity.
pub(crate) fn priority(facility: Option<&str>, default: Facility, severity: Severity) -> u8 {
    let known = facility.and_then(|name| FACILITIES.iter().position(|known| *known == name));
    let number = known.and_then(|number| u8::try_from(number).ok());
    number.unwrap_or(default as u8) * 8 + of_severity(severity)
}

/// As OpenTelemetry maps them.
const fn of_severity(severity: Severity) -> u8 {
    match severity {
        Severity::Fatal => 2,
        Severity::Error => 3,
        Severity::Warn => 4,
        Severity::Info | Severity::Unspecified => 6,
        Severity::Debug | Severity::Trace => 7,
    }
}
