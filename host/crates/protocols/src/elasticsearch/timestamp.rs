//! Times as Elasticsearch reads them.

use sluice_types::excerpt::excerpt;
use sluice_types::record::{Text, Value};

use crate::date::{self, Offset};
use crate::json::share::number;
use crate::json::written::FieldValue;
use crate::time;

const NANOSECONDS: u64 = 1_000_000_000;

/// No time is written with more characters.
const CHARS_MAX: usize = 100;

/// Nanoseconds since the Unix epoch. Dates without a time are midnight, and times
/// without an offset are UTC, as in Elasticsearch's default format. A Unix time is
/// told by its magnitude, which takes milliseconds as Elasticsearch does.
///
/// # Errors
/// What is wrong with the value, worded for the producer.
pub(super) fn nanoseconds(value: FieldValue<'_>) -> Result<u64, String> {
    let copied = |text| Text::from(excerpt(text, CHARS_MAX).into_owned());
    let other = match value {
        FieldValue::Text(text) => {
            let read =
                date::nanoseconds(text.as_bytes(), Offset::Optional).or_else(|| of_decimal(text));
            if let Some(nanoseconds) = read {
                return Ok(nanoseconds);
            }
            Value::Text(copied(text))
        }
        FieldValue::Number(json) => number(json).unwrap_or_else(|| Value::Json(copied(json))),
        FieldValue::Boolean(boolean) => Value::Boolean(boolean),
        FieldValue::Other(json) => Value::Json(copied(json)),
    };
    time::nanoseconds(&other)
}

/// A Unix time with a fraction, as the collector's exporter writes it:
/// milliseconds with six decimals. A float would not be as exact.
fn of_decimal(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.')?;
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let unit = time::unit(whole);
    let dotted = text.as_bytes().get(text.len() - decimals.len() - 1..)?;
    let (fraction, rest) = date::fraction(dotted)?;
    let fraction = fraction * unit / NANOSECONDS;
    let nanoseconds = whole.checked_mul(unit)?.checked_add(fraction)?;
    rest.is_empty().then_some(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn read(text: &str) -> Option<u64> {
        nanoseconds(FieldValue::Text(text)).ok()
    }

    #[test]
    fn dates_are_read_as_elasticsearch_reads_them() {
        const SECOND: u64 = 1_795_255_510_000_000_000;
        for (text, expected) in [
            ("2026-11-21T10:05:10.090Z", SECOND + 90_000_000),
            ("2026-11-21T10:05:10", SECOND),
            ("2026-11-21 10:05:10,5", SECOND + 500_000_000),
            ("2026-11-21T12:05:10+02:00", SECOND),
            ("2026-11-21T12:05:10.000000001+0200", SECOND + 1),
            ("2026-11-21T09:05:10-01", SECOND),
            ("2026-11-21", 1_795_219_200_000_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T01:00:00.000000001+01:00", 1),
            ("1795255510000", SECOND),
            ("1795255510000.000001", SECOND + 1),
            ("1795255510000.123456", SECOND + 123_456),
            ("1795255510.123456789", SECOND + 123_456_789),
            ("1795255510000000000.9", SECOND),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_named() {
        for text in [
            "",
            "noon",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:59:59+01:00",
            "2555-01-01",
            "9999-12-31T23:59:59Z",
            "0000-01-01",
            "2026-11-21T24:05:10Z",
            "2026-11-21T10:60:10Z",
            "2026-11-21T10:05:10+99:00",
            "2026-11-21T10:05:10 CET",
            "é026-11-21",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for value in [
            FieldValue::Boolean(true),
            FieldValue::Other("{}"),
            FieldValue::Number("-1"),
            FieldValue::Number("1e999"),
            FieldValue::Number(&"9".repeat(1 << 20)),
            FieldValue::Text(&"9".repeat(1 << 20)),
        ] {
            let reason = nanoseconds(value).unwrap_err();
            assert!(reason.len() < 300, "{reason}");
        }
        assert_eq!(nanoseconds(FieldValue::Number("1.5")), Ok(1_500_000_000));
    }

    #[test]
    fn any_time_is_read_as_a_calendar_says() {
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..200_000 {
            let nanoseconds = rng.random::<u64>();
            let time = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap();
            assert_eq!(read(&time.to_string()), Some(nanoseconds), "{time}");
            let offset = jiff::tz::Offset::from_seconds(60 * rng.random_range(-900..900)).unwrap();
            let text = time.display_with_offset(offset).to_string();
            assert_eq!(read(&text), Some(nanoseconds), "{text}");
            // Dates before the epoch are left to the library.
            let is_read = text.starts_with("1969")
                || date::nanoseconds(text.as_bytes(), Offset::Optional).is_some();
            assert!(is_read, "{text}");
        }
    }
}
