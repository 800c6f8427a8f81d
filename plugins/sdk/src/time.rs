//! Writes times, given as nanoseconds since the Unix epoch.

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// All digits of a fraction in nanoseconds.
const NANO_DIGITS: usize = 9;

/// Writes times in RFC 3339, in UTC. It remembers the second of the last one,
/// because most times of a batch share theirs.
#[derive(Clone, Debug)]
pub struct Rfc3339 {
    digits: usize,
    second: u64,
    /// `2023-11-14T22:13:20`, for that second.
    text: [u8; 19],
}

impl Rfc3339 {
    /// Times with as many digits of the fraction as they need, up to nine:
    /// `2023-11-14T22:13:20.5Z`. The form of
    /// [`Batch::json_lines`](crate::Batch::json_lines).
    #[must_use]
    pub const fn new() -> Self {
        Self::with_digits(NANO_DIGITS)
    }

    /// Times with this many digits of the fraction at most; the rest is cut off.
    /// Syslog takes six.
    #[must_use]
    pub const fn with_digits(digits: usize) -> Self {
        Self {
            digits: if digits < NANO_DIGITS {
                digits
            } else {
                NANO_DIGITS
            },
            second: 0,
            text: *b"1970-01-01T00:00:00",
        }
    }

    /// Appends a time.
    pub fn push(&mut self, nanoseconds: u64, out: &mut Vec<u8>) {
        let second = nanoseconds / NANOS_PER_SECOND;
        if second != self.second {
            self.second = second;
            self.text = text(second);
        }
        out.extend_from_slice(&self.text);
        let fraction = fraction(nanoseconds);
        let shown = fraction.get(..self.digits).unwrap_or_default();
        let used = shown.iter().rposition(|digit| *digit != b'0');
        if let Some(last) = used {
            out.push(b'.');
            out.extend_from_slice(shown.get(..=last).unwrap_or_default());
        }
        out.push(b'Z');
    }
}

impl Default for Rfc3339 {
    fn default() -> Self {
        Self::new()
    }
}

/// A time in RFC 3339, in UTC, such as `2023-11-14T22:13:20.5Z`.
#[must_use]
pub fn rfc3339(nanoseconds: u64) -> String {
    let mut out = Vec::with_capacity(30);
    Rfc3339::new().push(nanoseconds, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends the seconds since the Unix epoch with all nine digits of the fraction:
/// `1700000000.500000000`.
pub fn unix_seconds(nanoseconds: u64, out: &mut Vec<u8>) {
    crate::digits::push(nanoseconds / NANOS_PER_SECOND, out);
    out.push(b'.');
    out.extend_from_slice(&fraction(nanoseconds));
}

/// The nine digits of the fraction.
fn fraction(nanoseconds: u64) -> [u8; NANO_DIGITS] {
    crate::digits::nine((nanoseconds % NANOS_PER_SECOND) as u32)
}

/// The date and the time of day of a second since the Unix epoch.
fn text(second: u64) -> [u8; 19] {
    let (year, month, day) = date(second / SECONDS_PER_DAY);
    let time = second % SECONDS_PER_DAY;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    #[rustfmt::skip]
    let text = [
        digit(year / 1000), digit(year / 100), digit(year / 10), digit(year), b'-',
        digit(month / 10), digit(month), b'-',
        digit(day / 10), digit(day), b'T',
        digit(hour / 10), digit(hour), b':',
        digit(minute / 10), digit(minute), b':',
        digit(second / 10), digit(second),
    ];
    text
}

/// The last digit.
const fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// Year, month and day of a day since the Unix epoch, by counting from a March:
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
const fn date(day: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

/// The second of a date and a time of day, the inverse of the above:
/// <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>.
/// `None` before 1970.
pub(crate) fn second_of(date: (u64, u64, u64), time: (u64, u64, u64)) -> Option<u64> {
    let (year, month, day) = date;
    let (hour, minute, second) = time;
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let (era, year) = (year / 400, year % 400);
    let day = era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year;
    let day = day.checked_sub(719_468)?;
    Some(day * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_the_digits_that_they_need() {
        for (nanoseconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (1_700_000_000_500_000_000, "2023-11-14T22:13:20.5Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(rfc3339(nanoseconds), expected);
        }
    }

    #[test]
    fn digits_are_cut_off() {
        for (digits, expected) in [
            (0, "1970-01-01T00:00:01Z"),
            (3, "1970-01-01T00:00:01Z"),
            (6, "1970-01-01T00:00:01.00002Z"),
            (7, "1970-01-01T00:00:01.0000204Z"),
            (99, "1970-01-01T00:00:01.000020406Z"),
        ] {
            let mut out = Vec::new();
            Rfc3339::with_digits(digits).push(1_000_020_406, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn one_writer_takes_times_in_any_order() {
        let mut times = Rfc3339::new();
        for second in [5, 5, 3_000_000_000, 0, 5] {
            let mut out = Vec::new();
            times.push(second * NANOS_PER_SECOND, &mut out);
            let alone = rfc3339(second * NANOS_PER_SECOND);
            assert_eq!(String::from_utf8(out).unwrap(), alone);
        }
    }

    #[test]
    fn dates_read_back() {
        for day in 0..220_000 {
            let second = day * SECONDS_PER_DAY + 3_723;
            assert_eq!(second_of(date(day), (1, 2, 3)), Some(second));
        }
        assert_eq!(second_of((1969, 12, 31), (23, 59, 59)), None);
        assert_eq!(second_of((0, 1, 1), (0, 0, 0)), None);
    }

    #[test]
    fn seconds_have_nine_digits() {
        let mut out = Vec::new();
        unix_seconds(1_700_000_000_500_000_000, &mut out);
        assert_eq!(out, b"1700000000.500000000");
    }
}
