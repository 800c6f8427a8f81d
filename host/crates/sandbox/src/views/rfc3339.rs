//! Times in RFC 3339.

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Writes times, and remembers the second of the last one: most times of a batch
/// share theirs.
pub(super) struct Times {
    second: u64,
    /// `2023-11-14T22:13:20`, for that second.
    text: [u8; 19],
}

impl Times {
    pub(super) const fn new() -> Self {
        Self {
            second: 0,
            text: *b"1970-01-01T00:00:00",
        }
    }

    /// Appends nanoseconds since the Unix epoch, in UTC, with as many digits of
    /// the fraction as it needs. The highest is in the year 2554.
    pub(super) fn push(&mut self, nanoseconds: u64, out: &mut Vec<u8>) {
        let second = nanoseconds / NANOS_PER_SECOND;
        if second != self.second {
            self.second = second;
            self.text = text(second);
        }
        out.extend_from_slice(&self.text);
        let fraction = nanoseconds % NANOS_PER_SECOND;
        if fraction > 0 {
            // The one in front keeps leading zeros, and is left out.
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(NANOS_PER_SECOND + fraction);
            let digits = digits.get(1..).unwrap_or_default();
            out.push(b'.');
            out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
        }
        out.push(b'Z');
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn check(times: &mut Times, nanoseconds: u64) {
        let mut out = Vec::new();
        times.push(nanoseconds, &mut out);
        let expected = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected.to_string());
    }

    #[test]
    fn times_are_written_as_jiff_does() {
        let mut times = Times::new();
        for nanoseconds in [0, 1, 100, 999_999_999, 1_111_111_111, u64::MAX] {
            check(&mut times, nanoseconds);
        }
        for day in 0..u64::MAX / NANOS_PER_SECOND / SECONDS_PER_DAY {
            check(&mut times, day * SECONDS_PER_DAY * NANOS_PER_SECOND);
        }
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..100_000 {
            let time = rng.random::<u64>();
            check(&mut times, time);
            check(&mut times, time - time % 1_000_000);
        }
    }
}
