//! The header `Retry-After` (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

use crate::time::second_of;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How long to wait: seconds, or a date, which is compared with the clock.
pub(super) fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = Duration::from_secs(date(value)?);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(now))
}

/// The second of an `IMF-fixdate`, such as `Sun, 06 Nov 1994 08:49:37 GMT`, since
/// the Unix epoch. The two older forms are not sent any more.
fn date(value: &str) -> Option<u64> {
    let (_, rest) = value.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 31)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = number(parts.next()?, 9999)?;
    let mut time = parts.next()?.split(':');
    let mut of_time = |most| number(time.next()?, most);
    let (hour, minute, second) = (of_time(23)?, of_time(59)?, of_time(60)?);
    (parts.next() == Some("GMT")).then_some(())?;
    second_of((year, month, day), (hour, minute, second))
}

fn number(text: &str, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        // One minute before the date below.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_717);
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:47:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 40 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 0000 08:49:37 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                wait(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
