//! The times of messages: RFC 3339, and that of RFC 3164, which has no year.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// How far in the future a time without a year may be, in seconds: clocks differ,
/// and what is taken as UTC may be local time. 24 hours.
const AHEAD_MAX: i64 = 24 * 60 * 60;
/// How many years ago the last 29 February may have been.
const LEAP_YEARS_MAX: i16 = 8;
/// The digits of a fraction that count: those of nanoseconds.
const FRACTION_DIGITS: usize = 9;
/// The nanoseconds that the last of so many digits counts.
const UNITS: [u32; FRACTION_DIGITS + 1] = [
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1000,
    100,
    10,
    1,
];
/// The length of `2026-11-21`.
const DATE_BYTES: usize = 10;
const NANOSECONDS: u64 = 1_000_000_000;

/// Reads times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    /// The latest time without a year that there can be, in seconds since the
    /// Unix epoch.
    latest: i64,
    /// Its year.
    year: i16,
    /// The date that was read last, and when it began, in seconds since the Unix
    /// epoch. Most messages have the date of the one before.
    date: [u8; DATE_BYTES],
    midnight: i64,
}

/// A time of a day.
#[derive(Clone, Copy, Debug)]
struct TimeOfDay {
    /// Since midnight.
    seconds: i64,
    nanoseconds: u32,
}

impl Calendar {
    /// For messages that were received at this time, in nanoseconds since the
    /// Unix epoch. All times are UTC.
    pub(super) fn new(observed: u64) -> Self {
        let latest = i64::try_from(observed / NANOSECONDS).unwrap_or(i64::MAX);
        let latest = latest.saturating_add(AHEAD_MAX);
        let time = Timestamp::from_second(latest).unwrap_or_default();
        Self {
            latest,
            year: Offset::UTC.to_datetime(time).year(),
            date: [0; DATE_BYTES],
            midnight: 0,
        }
    }

    /// Nanoseconds since the Unix epoch of RFC 3339 text. A time without an
    /// offset is UTC, digits beyond the nanoseconds are dropped, and a leap second
    /// is the second before it. `None` for any other text, and for times before
    /// 1970 and after 2554.
    pub(super) fn rfc3339(&mut self, text: &str) -> Option<u64> {
        let (date, rest) = text.as_bytes().split_first_chunk::<DATE_BYTES>()?;
        if *date != self.date {
            let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else {
                return None;
            };
            self.midnight = midnight(year(y1, y2, y3, y4)?, two(m1, m2)?, two(d1, d2)?)?;
            self.date = *date;
        }
        let [b'T' | b't', rest @ ..] = rest else {
            return None;
        };
        let (time, rest) = time_of_day(rest)?;
        nanoseconds(self.midnight - offset(rest)?, time)
    }

    /// Nanoseconds since the Unix epoch of a time like `Nov 21 10:21:12` at the
    /// start of the text, and what follows. A fraction is read, and a year behind
    /// the day, as some routers write it.
    pub(super) fn rfc3164<'a>(&self, text: &'a str) -> Option<(u64, &'a str)> {
        let [a, b, c, b' ', rest @ ..] = text.as_bytes() else {
            return None;
        };
        let month = month([*a, *b, *c])?;
        let (day, rest) = match rest {
            [b' ', day, b' ', rest @ ..] | [day, b' ', rest @ ..] => (two(b'0', *day)?, rest),
            [d1, d2, b' ', rest @ ..] => (two(*d1, *d2)?, rest),
            _ => return None,
        };
        let with_year = match rest {
            [y1, y2, y3, y4, b' ', rest @ ..] => year(*y1, *y2, *y3, *y4).zip(Some(rest)),
            _ => None,
        };
        let (time, rest) = time_of_day(with_year.map_or(rest, |(_, rest)| rest))?;
        let midnight = match with_year {
            Some((year, _)) => midnight(year, month, day)?,
            None => self.latest_midnight(month, day, time)?,
        };
        let time = nanoseconds(midnight, time)?;
        Some((time, text.get(text.len() - rest.len()..)?))
    }

    /// When this day began in the latest year in which the time is not too far in
    /// the future.
    fn latest_midnight(&self, month: i8, day: i8, time: TimeOfDay) -> Option<i64> {
        let years = (0..=LEAP_YEARS_MAX).map(|ago| self.year.saturating_sub(ago));
        let mut midnights = years.filter_map(|year| midnight(year, month, day));
        midnights.find(|midnight| midnight + time.seconds <= self.latest)
    }
}

/// When a day began, in seconds since the Unix epoch.
fn midnight(year: i16, month: i8, day: i8) -> Option<i64> {
    let date = Date::new(year, month, day).ok()?;
    let midnight = DateTime::from_parts(date, Time::midnight());
    Some(Offset::UTC.to_timestamp(midnight).ok()?.as_second())
}

fn nanoseconds(midnight: i64, time: TimeOfDay) -> Option<u64> {
    let seconds = u64::try_from(midnight + time.seconds).ok()?;
    let nanoseconds = seconds.checked_mul(NANOSECONDS)?;
    nanoseconds.checked_add(u64::from(time.nanoseconds))
}

/// The time at the start, and what follows.
fn time_of_day(text: &[u8]) -> Option<(TimeOfDay, &[u8])> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = text else {
        return None;
    };
    let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanoseconds, rest) = fraction(rest);
    let minutes = i64::from(hour) * 60 + i64::from(minute);
    let time = TimeOfDay {
        seconds: minutes * 60 + i64::from(second.min(59)),
        nanoseconds,
    };
    Some((time, rest))
}

/// The nanoseconds of a fraction of a second at the start, and what follows.
fn fraction(text: &[u8]) -> (u32, &[u8]) {
    let [b'.' | b',', digits @ ..] = text else {
        return (0, text);
    };
    let is_digit = |digit: &&u8| digit.is_ascii_digit();
    let count = digits.iter().take_while(is_digit).count();
    let (digits, rest) = digits.split_at_checked(count).unwrap_or_default();
    let digits = digits.get(..FRACTION_DIGITS).unwrap_or(digits);
    let add = |number, digit: &u8| 10 * number + u32::from(digit - b'0');
    let number = digits.iter().fold(0, add);
    match UNITS.get(digits.len()) {
        Some(unit) if count > 0 => (number * unit, rest),
        _ => (0, text),
    }
}

/// The seconds of an offset that is all of the text.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => {
            (sign, two(*h1, *h2)?, two(*m1, *m2)?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (i64::from(hours) * 60 + i64::from(minutes)) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn year(a: u8, b: u8, c: u8, d: u8) -> Option<i16> {
    Some(i16::from(two(a, b)?) * 100 + i16::from(two(c, d)?))
}

/// The number of two digits.
fn two(a: u8, b: u8) -> Option<i8> {
    let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
    (a <= 9 && b <= 9).then(|| (a * 10 + b).cast_signed())
}

const fn month(name: [u8; 3]) -> Option<i8> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let time: Timestamp = text.parse().unwrap();
        time.as_nanosecond().try_into().unwrap()
    }

    /// What a time without a year is when it was received.
    fn resolved(text: &str, observed: &str) -> Option<u64> {
        let (time, rest) = Calendar::new(at(observed)).rfc3164(text)?;
        assert_eq!(rest, "");
        Some(time)
    }

    #[test]
    fn rfc_3339_in_all_its_forms() {
        let mut calendar = Calendar::new(0);
        for (text, expected) in [
            ("2026-11-21T10:21:13Z", "2026-11-21T10:21:13Z"),
            ("2026-11-21t10:21:13z", "2026-11-21T10:21:13Z"),
            ("2026-11-21T10:21:14.721405Z", "2026-11-21T10:21:14.721405Z"),
            (
                "2026-11-21T10:27:03.173322+00:00",
                "2026-11-21T10:27:03.173322Z",
            ),
            ("2026-11-21T00:30:00.5-08:00", "2026-11-21T08:30:00.5Z"),
            ("2026-11-21T00:30:00+0530", "2026-11-20T19:00:00Z"),
            ("2026-11-21T10:21:13", "2026-11-21T10:21:13Z"),
            (
                "2026-11-21T10:21:13.123456789123Z",
                "2026-11-21T10:21:13.123456789Z",
            ),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            // The second time, the date is known.
            for _ in 0..2 {
                assert_eq!(calendar.rfc3339(text), Some(at(expected)), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let mut calendar = Calendar::new(0);
        assert!(calendar.rfc3339("2026-11-21T00:00:00Z").is_some());
        for text in [
            "",
            "-",
            "2026-11-21",
            "2026-11-21 10:21:13Z",
            "2026-13-21T10:21:13Z",
            "2026-02-29T10:21:13Z",
            "2026-11-21T24:21:13Z",
            "2026-11-21T10:21:61Z",
            "2026-11-21T10:21:13.Z",
            "2026-11-21T10:21:13X",
            "2026-11-21T10:21:13+99:00",
            "1960-01-01T00:00:00Z",
            "2555-01-01T00:00:00Z",
            "+026-11-21T10:21:13Z",
        ] {
            assert_eq!(calendar.rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn every_form_of_a_time_without_a_year() {
        let observed = "2026-11-21T10:30:00Z";
        for (text, expected) in [
            ("Nov 21 10:21:12", "2026-11-21T10:21:12Z"),
            ("Nov  1 10:21:12", "2026-11-01T10:21:12Z"),
            ("Nov 1 10:21:12", "2026-11-01T10:21:12Z"),
            ("Nov 01 10:21:12.5", "2026-11-01T10:21:12.5Z"),
            ("Nov 21 2019 10:21:12", "2019-11-21T10:21:12Z"),
        ] {
            assert_eq!(resolved(text, observed), Some(at(expected)), "{text}");
        }
        for text in [
            "nov 21 10:21:12",
            "Nov 31 10:21:12",
            "Nov 21 10:21",
            "Nov  10:21:12",
            "Nov 211 10:21:12",
            "Feb 30 10:21:12",
        ] {
            assert_eq!(resolved(text, observed), None, "{text}");
        }
    }

    #[test]
    fn the_year_is_the_latest_that_is_at_most_a_day_ahead() {
        for (text, observed, expected) in [
            // Sent before midnight and received after it.
            (
                "Dec 31 23:59:59",
                "2027-01-01T00:00:01Z",
                "2026-12-31T23:59:59Z",
            ),
            // A clock that is ahead, or local time.
            (
                "Jan  1 00:00:01",
                "2026-12-31T23:59:59Z",
                "2027-01-01T00:00:01Z",
            ),
            (
                "Jan  1 13:00:00",
                "2026-12-31T13:00:00Z",
                "2027-01-01T13:00:00Z",
            ),
            (
                "Jan  1 13:00:01",
                "2026-12-31T13:00:00Z",
                "2026-01-01T13:00:01Z",
            ),
            // Kept for months before it was sent.
            (
                "Nov 22 13:00:00",
                "2026-11-21T10:00:00Z",
                "2025-11-22T13:00:00Z",
            ),
            (
                "Feb 29 00:00:00",
                "2027-11-21T10:00:00Z",
                "2024-02-29T00:00:00Z",
            ),
            (
                "Feb 29 00:00:00",
                "2104-02-28T10:00:00Z",
                "2104-02-29T00:00:00Z",
            ),
            (
                "Feb 29 00:00:00",
                "2104-02-27T10:00:00Z",
                "2096-02-29T00:00:00Z",
            ),
        ] {
            let time = resolved(text, observed);
            assert_eq!(time, Some(at(expected)), "{text} at {observed}");
        }
    }

    #[test]
    fn times_of_reception_at_either_end() {
        assert_eq!(Calendar::new(0).rfc3164("Jan  1 00:00:00"), Some((0, "")));
        assert_eq!(Calendar::new(0).rfc3164("Dec 31 00:00:00"), None);
        assert!(Calendar::new(u64::MAX).rfc3164("Dec 31 00:00:00").is_some());
    }

    #[test]
    fn any_date_is_that_of_the_calendar() {
        let mut calendar = Calendar::new(0);
        let date = jiff::civil::date(1970, 1, 1);
        for days in (0..200_000).step_by(17) {
            let date = date.saturating_add(jiff::Span::new().days(days));
            let text = format!("{date}T00:00:00Z");
            assert_eq!(calendar.rfc3339(&text), Some(at(&text)), "{text}");
        }
    }
}
