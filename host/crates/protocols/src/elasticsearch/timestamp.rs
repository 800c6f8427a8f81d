//! Times as Elasticsearch reads them.

use sluice_types::excerpt::excerpt;
use sluice_types::record::{Text, Value};

use super::fields::FieldValue;
use crate::json::share::number;
use crate::time;

const NANOSECONDS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 86_400;

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
            let read = of_date(text.as_bytes()).or_else(|| of_decimal(text));
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

/// `2026-11-21`, `2026-11-21T10:05:10.090Z`, and the same with an offset or
/// without any. `None` for all that is longer than nanoseconds or not as usual.
fn of_date(text: &[u8]) -> Option<u64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, rest @ ..] = text else {
        return None;
    };
    let year = 100 * two(*y1, *y2)? + two(*y3, *y4)?;
    let days = days_of_epoch(year, two(*mo1, *mo2)?, two(*d1, *d2)?)?;
    if rest.is_empty() {
        return (days * DAY_SECONDS).checked_mul(NANOSECONDS);
    }
    let [
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        rest @ ..,
    ] = rest
    else {
        return None;
    };
    let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let (fraction, offset) = fraction(rest)?;
    offset_seconds(offset)?
        .checked_add_unsigned(seconds)?
        .try_into()
        .ok()
        .and_then(|seconds: u64| seconds.checked_mul(NANOSECONDS)?.checked_add(fraction))
}

/// The number that two digits make.
fn two(tens: u8, ones: u8) -> Option<u64> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
}

/// The nanoseconds behind a decimal separator, and what follows them.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let [b'.' | b',', digits @ ..] = text else {
        return Some((0, text));
    };
    let count = digits.iter().take_while(|d| d.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at_checked(count)?;
    if !(1..=9).contains(&count) {
        return None;
    }
    let number = |number, digit: &u8| number * 10 + u64::from(digit - b'0');
    let padding = std::iter::repeat_n(&b'0', 9 - count);
    Some((digits.iter().chain(padding).fold(0, number), rest))
}

/// What must be added to get UTC, in seconds.
fn offset_seconds(offset: &[u8]) -> Option<i64> {
    let (sign, digits) = match offset {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (-1, digits),
        [b'-', digits @ ..] => (1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [h1, h2] => (two(*h1, *h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two(*h1, *h2)?, two(*m1, *m2)?),
        _ => return None,
    };
    let is_offset = hours < 24 && minutes < 60;
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    is_offset.then_some(sign * seconds)
}

/// The days from 1970-01-01 to this date in the Gregorian calendar. `None` for
/// one before, and for one that does not exist.
fn days_of_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // Counted in years from March on, so that the leap day is the last one.
    let (year, month) = match month {
        1 | 2 => (year.checked_sub(1)?, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1;
    // 0000-03-01 to 1970-01-01.
    days.checked_sub(719_468)
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
    let (fraction, rest) = fraction(dotted)?;
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
            let is_read = text.starts_with("1969") || of_date(text.as_bytes()).is_some();
            assert!(is_read, "{text}");
        }
    }

    #[test]
    fn only_dates_that_exist_have_a_place_in_the_calendar() {
        let mut days = 0;
        for year in 1970..2600 {
            for month in 0..14 {
                for day in 0..33 {
                    let date = i8::try_from(month).ok().zip(i8::try_from(day).ok());
                    let (month_of, day_of) = date.unwrap();
                    let exists = jiff::civil::Date::new(year, month_of, day_of).is_ok();
                    let place = days_of_epoch(u64::from(year.unsigned_abs()), month, day);
                    assert_eq!(place, exists.then_some(days), "{year}-{month}-{day}");
                    days += u64::from(exists);
                }
            }
        }
    }
}
