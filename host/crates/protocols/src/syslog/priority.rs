//! The priority at the start of a message.

use sluice_types::record::Severity;

use crate::severity;

/// The names of the facilities, by number, as rsyslog and syslog-ng write them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// The last severity of the last facility.
const PRIORITY_MAX: u8 = 191;
/// The severities of each facility.
const SEVERITIES: u8 = 8;

/// A facility and a severity, together 0 to 191.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Priority(u8);

impl Priority {
    /// The facility's name.
    pub(super) fn facility(self) -> Option<&'static str> {
        FACILITIES.get(usize::from(self.0 / SEVERITIES)).copied()
    }

    /// The severity of a record.
    pub(super) fn severity(self) -> Severity {
        severity::of_syslog(self.0 % SEVERITIES).unwrap_or_default()
    }

    /// The name of a severity that shares that of the record with a more usual
    /// one.
    pub(super) const fn finer_severity(self) -> Option<&'static str> {
        match self.0 % SEVERITIES {
            0 => Some("emerg"),
            1 => Some("alert"),
            5 => Some("notice"),
            _ => None,
        }
    }
}

/// The priority and what follows, or the whole message if it has none.
pub(super) fn split(message: &str) -> (Option<Priority>, &str) {
    match read(message) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, message),
    }
}

fn read(message: &str) -> Option<(Priority, &str)> {
    let (digits, length) = match message.as_bytes() {
        [b'<', a, b'>', ..] => ([b'0', b'0', *a], 3),
        [b'<', a, b, b'>', ..] => ([b'0', *a, *b], 4),
        [b'<', a, b, c, b'>', ..] => ([*a, *b, *c], 5),
        _ => return None,
    };
    let digits = digits.map(|digit| u32::from(digit.wrapping_sub(b'0')));
    let [hundreds, tens, ones] = digits;
    let number = u8::try_from(hundreds * 100 + tens * 10 + ones).ok()?;
    if digits.iter().any(|digit| *digit > 9) || number > PRIORITY_MAX {
        return None;
    }
    Some((Priority(number), message.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facility_and_severity_are_told_apart() {
        let (priority, rest) = split("<165>1 -");
        let priority = priority.unwrap();
        assert_eq!(rest, "1 -");
        assert_eq!(priority.facility(), Some("local4"));
        assert_eq!(priority.severity(), Severity::Info);
        assert_eq!(priority.finer_severity(), Some("notice"));
        let (last, _) = split("<191>");
        assert_eq!(last.unwrap().facility(), Some("local7"));
        assert_eq!(last.unwrap().severity(), Severity::Debug);
        assert_eq!(split("<0>").0.unwrap().severity(), Severity::Fatal);
    }

    #[test]
    fn what_is_no_priority_stays_in_the_message() {
        for message in [
            "", "<", "<>", "<1", "<a>", "<-1>", "<+1>", "<192>", "<256>", "<0001>", "13>", "é<1>",
        ] {
            assert_eq!(split(message), (None, message));
        }
    }
}
