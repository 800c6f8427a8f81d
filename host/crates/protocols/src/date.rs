//! Dates and times as most programs write them, read without a calendar library.

const NANOSECONDS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 86_400;

/// Whether a time says how far it is from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    /// As in RFC 3339.
    Required,
    /// Without one it is UTC. A date without a time is midnight.
    Optional,
}

/// Nanoseconds since the Unix epoch of `2026-11-21T10:05:10.090Z`, of the same with
/// another offset, and, if the offset is optional, without any, and of `2026-11-21`.
/// `None` for all that is more exact than nanoseconds, not between 1970 and July 2554,
/// or not as usual.
pub(crate) fn nanoseconds(text: &[u8], offset: Offset) -> Option<u64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, rest @ ..] = text else {
        return None;
    };
    let year = 100 * two(*y1, *y2)? + two(*y3, *y4)?;
    let days = days_of_epoch(year, two(*mo1, *mo2)?, two(*d1, *d2)?)?;
    if rest.is_empty() && offset == Offset::Optional {
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
    let (fraction, rest) = fraction(rest)?;
    if rest.is_empty() && offset == Offset::Required {
        return None;
    }
    offset_seconds(rest)?
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
pub(crate) fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_missed_where_it_is_required() {
        for (text, required, optional) in [
            ("1970-01-02T00:00:01.5Z", Some(86_401), Some(86_401)),
            ("1970-01-02T01:00:01.5+01:00", Some(86_401), Some(86_401)),
            ("1970-01-02T00:00:01.5", None, Some(86_401)),
            ("1970-01-02", None, Some(86_400)),
        ] {
            let seconds = |offset| {
                let nanoseconds = nanoseconds(text.as_bytes(), offset);
                nanoseconds.map(|nanoseconds| nanoseconds / NANOSECONDS)
            };
            assert_eq!(seconds(Offset::Required), required, "{text}");
            assert_eq!(seconds(Offset::Optional), optional, "{text}");
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
