//! Durations (`200ms`, `5s`, `2m`), sizes (`64KiB`, `16MiB`) and times.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::friendly::SpanParser;

pub(super) use sluice_types::size::parse as size;

/// The longest duration of a flag, about 31 years: sums of durations and times
/// then never overflow.
const MAX_DURATION: Duration = Duration::from_secs(1_000_000_000);

/// Parses a duration with a unit, such as `1.5s` or `2h`.
///
/// # Errors
/// The text is not a duration, is negative, or exceeds [`MAX_DURATION`].
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    SpanParser::new()
        .parse_unsigned_duration(text.trim())
        .ok()
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| "expected a duration like 200ms, 5s or 2m".to_owned())
}

/// Parses a time in RFC 3339, or an age such as `2h` or `3d`, which is taken off now.
///
/// # Errors
/// The text is neither.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let age = match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        _ => duration(text),
    };
    age.ok()
        .and_then(|age| Timestamp::now().checked_sub(age).ok())
        .ok_or_else(|| "expected an age like 90s, 2h or 3d, or a time in RFC 3339".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("200ms", 200),
            ("1.5s", 1500),
            (" 0.25 s ", 250),
            ("0s", 0),
            ("2m", 120_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in [
            "", "5", "5 days", "5d", "-1s", "NaNs", "1e99h", "300000h", "5s ago", "PT5S",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("16 MiB"), Ok(16 << 20));
        assert_eq!(size("1000"), Ok(1000));
        for wrong in ["", "5k", "1.5MiB", "-1", "99999999999999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages_and_times_are_read() {
        let time = "2026-11-20T09:00:00Z";
        assert_eq!(since(time).unwrap(), time.parse().unwrap());
        for (age, seconds) in [("90s", 90), ("2h", 7200), ("3d", 3 * 86_400)] {
            let since = since(age).unwrap();
            let found = Timestamp::now().duration_since(since);
            assert!((seconds..seconds + 60).contains(&found.as_secs()), "{age}");
        }
        for wrong in ["", "3", "-1d", "yesterday"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
