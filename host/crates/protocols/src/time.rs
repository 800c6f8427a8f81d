//! Times as producers write them.

use crate::date::{self, Offset};
use sluice_types::excerpt::excerpt;
use sluice_types::record::{Text, Value};

/// No time is written with more bytes.
const BYTES_MAX: usize = 64;
/// The most characters of a time that is repeated as wrong.
const SHOWN_CHARS: usize = 40;

/// Nanoseconds since the Unix epoch, of RFC 3339 text or of a Unix time in
/// seconds, milliseconds, microseconds or nanoseconds, told apart by their
/// magnitude: each unit works for times from 1973 to beyond the year 5000, as
/// far as their nanoseconds fit into 64 bits (until July 2554).
///
/// # Errors
/// What is wrong with the value, worded for the producer.
pub(crate) fn nanoseconds(value: &Value) -> Result<u64, String> {
    match value {
        Value::Integer(integer) => {
            let read = u64::try_from(*integer).ok().and_then(from_integer);
            read.ok_or_else(|| wrong(&integer.to_string()))
        }
        Value::Float(float) => from_float(*float).ok_or_else(|| wrong(&float.to_string())),
        Value::Text(text) => of_text(text),
        // A number that fits into neither of the types above.
        Value::Json(json) => of_number(json),
        Value::Boolean(_) | Value::Bytes(_) => Err(wrong(&format!("{value:?}"))),
    }
}

/// The same of a text.
pub(crate) fn of_text(text: &str) -> Result<u64, String> {
    from_text(text).ok_or_else(|| wrong(text))
}

/// The same of a number as JSON has it.
pub(crate) fn of_number(json: &str) -> Result<u64, String> {
    from_number(json).ok_or_else(|| wrong(json))
}

fn wrong(said: &str) -> String {
    let said = excerpt(said, SHOWN_CHARS);
    format!(
        "the time {said:?} is neither RFC 3339 (like 2026-01-31T12:00:00Z) nor a Unix time \
         between 1970 and 2554"
    )
}

/// The same of a time as text, without the rounding of a float: the nanoseconds of
/// `1795256481.895752` end in three zeros.
///
/// # Errors
/// What is wrong with the text, worded for the producer.
pub(crate) fn exact_nanoseconds(text: &Text) -> Result<u64, String> {
    match from_decimal(text) {
        Some(nanoseconds) => Ok(nanoseconds),
        None => nanoseconds(&Value::Text(text.clone())),
    }
}

/// Of digits with a decimal point among them; `None` for any other text.
fn from_decimal(text: &str) -> Option<u64> {
    const DIGITS: usize = 9;
    let (whole, fraction) = text.split_once('.')?;
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.is_empty() {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let digits = fraction.get(..DIGITS).unwrap_or(fraction);
    let scale = 10_u64.pow(u32::try_from(DIGITS - digits.len()).ok()?);
    let billionths: u64 = digits.parse::<u64>().ok()? * scale;
    let unit = unit(whole);
    // No unit is longer than a second, so this is no more than a billion times
    // a billion.
    let fraction = billionths * unit / 1_000_000_000;
    whole.checked_mul(unit)?.checked_add(fraction)
}

fn from_text(text: &str) -> Option<u64> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let usual = date::nanoseconds(text.as_bytes(), Offset::Required);
    if usual.is_some() {
        return usual;
    }
    if text.parse::<f64>().is_ok() {
        return from_number(text);
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_nanosecond()).ok()
}

fn from_number(text: &str) -> Option<u64> {
    match text.parse() {
        Ok(integer) => from_integer(integer),
        Err(_) => from_float(text.parse().ok()?),
    }
}

/// The nanoseconds of the unit that a Unix time of this magnitude is in.
pub(crate) const fn unit(magnitude: u64) -> u64 {
    match magnitude {
        m if m < 100_000_000_000 => 1_000_000_000,
        m if m < 100_000_000_000_000 => 1_000_000,
        m if m < 100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

fn from_integer(integer: u64) -> Option<u64> {
    integer.checked_mul(unit(integer))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked; a float has no more precision to lose"
)]
fn from_float(float: f64) -> Option<u64> {
    /// 2^64, the first number that a `u64` cannot hold. A cast would make
    /// `u64::MAX` of it, which is a time too.
    const TOO_LARGE: f64 = 18_446_744_073_709_551_616.0;
    if !(0.0..TOO_LARGE).contains(&float) {
        return None;
    }
    let whole = float.trunc() as u64;
    let unit = unit(whole);
    let fraction = (float.fract() * unit as f64).round() as u64;
    whole.checked_mul(unit)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::{Client, Meter};
    use crate::native::record_json::RecordReader;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn unix_times_are_told_apart_by_magnitude() {
        let expected = Ok(1_700_000_000_000_000_000);
        for time in [
            1_700_000_000,
            1_700_000_000_000,
            1_700_000_000_000_000,
            1_700_000_000_000_000_000,
        ] {
            assert_eq!(nanoseconds(&Value::Integer(time)), expected, "{time}");
            assert_eq!(
                nanoseconds(&Value::Text(time.to_string().into())),
                expected,
                "{time}"
            );
        }
        assert_eq!(
            nanoseconds(&Value::Float(1_700_000_000.25)),
            Ok(1_700_000_000_250_000_000)
        );
    }

    #[test]
    fn a_decimal_fraction_is_not_rounded() {
        for (text, expected) in [
            ("1795256481.895752", 1_795_256_481_895_752_000),
            ("1795255814.10488", 1_795_255_814_104_880_000),
            ("1795256478.29", 1_795_256_478_290_000_000),
            ("1795257521.8993096", 1_795_257_521_899_309_600),
            ("1795257521.1234567899", 1_795_257_521_123_456_789),
            ("1795257521123.5", 1_795_257_521_123_500_000),
            ("1795257521123456.5", 1_795_257_521_123_456_500),
            ("1795257521123456789.5", 1_795_257_521_123_456_789),
            ("0.0", 0),
            ("1795256481", 1_795_256_481_000_000_000),
            ("1.795256481e9", 1_795_256_481_000_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ] {
            assert_eq!(exact_nanoseconds(&text.into()), Ok(expected), "{text}");
        }
        for text in [
            "",
            ".",
            ".5.",
            "1.5.5",
            "+1.5x",
            "-1.5",
            "18446744073.8",
            "1.\u{0}",
        ] {
            assert!(exact_nanoseconds(&text.into()).is_err(), "{text}");
        }
        let long = format!("1.{}", "1".repeat(1 << 20));
        assert_eq!(exact_nanoseconds(&long.into()), Ok(1_111_111_111));
    }

    #[test]
    fn rfc_3339_with_any_offset() {
        let text = |text: &'static str| nanoseconds(&Value::Text(text.into()));
        assert_eq!(text("1970-01-01T01:00:00.000000001+01:00"), Ok(1));
        assert_eq!(text("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000_000_000));
    }

    #[test]
    fn what_is_no_time_is_named() {
        for value in [
            Value::Integer(-1),
            Value::Float(f64::NAN),
            Value::Float(-0.5),
            Value::Float(f64::INFINITY),
            Value::Boolean(true),
            Value::Bytes(bytes::Bytes::from_static(b"1")),
            Value::Text("".into()),
            Value::Text("nan".into()),
            Value::Text("-inf".into()),
            Value::Text("0x10".into()),
            Value::Text("1700000000 ".into()),
            Value::Text("noon".into()),
            Value::Text("1960-01-01T00:00:00Z".into()),
            Value::Json("{}".into()),
            Value::Json("[1700000000]".into()),
            Value::Json("1e400".into()),
        ] {
            assert!(
                nanoseconds(&value).unwrap_err().contains("RFC 3339"),
                "{value:?}"
            );
        }
    }

    /// What a number in JSON and the same number as a text are read as.
    fn both(number: &str) -> [Option<u64>; 2] {
        let json = format!(r#"{{"time":{number}}}"#);
        let whole = sluice_types::record::Text::from(json);
        let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let record = RecordReader::new(5).read(&whole, &whole.clone(), &mut meter);
        let text = nanoseconds(&Value::Text(number.into())).ok();
        [record.ok().map(|record| record.timestamp), text]
    }

    #[test]
    fn a_number_beyond_the_last_time_is_rejected_in_every_form() {
        for number in [
            "5e19",
            "5.0e19",
            "50000000000000000000",
            "50000000000000000000.5",
            "9.9e19",
            "1e20",
            "1e300",
            "1e400",
            "-1e400",
            // 2^64, and what is rounded to it.
            "18446744073709551616",
            "18446744073709551616.0",
            "18446744073709551615.0",
            "1.8446744073709552e19",
            // The same in the other units.
            "18446744074",
            "18446744073.8",
            "18446744073710",
            "18446744073709552",
            "99999999999999999",
            "9.9e10",
            "-1",
            "-1.0",
            "-5e-324",
            "-5e19",
            "-18446744073709551616",
        ] {
            assert_eq!(both(number), [None, None], "{number}");
        }
    }

    #[test]
    fn the_first_and_the_last_times_are_read_in_every_form() {
        for (number, expected) in [
            ("0", 0),
            ("-0", 0),
            ("0.0", 0),
            ("-0.0", 0),
            ("0e99", 0),
            ("1e-400", 0),
            ("18446744073", 18_446_744_073_000_000_000),
            ("18446744073.5", 18_446_744_073_500_000_000),
            ("1.8446744073e10", 18_446_744_073_000_000_000),
            ("18446744073709", 18_446_744_073_709_000_000),
            ("18446744073709551", 18_446_744_073_709_551_000),
            // Beyond what a signed number holds.
            ("9223372036854775807", 9_223_372_036_854_775_807),
            ("9223372036854775808", 9_223_372_036_854_775_808),
            ("18446744073709551615", u64::MAX),
            // The last float below 2^64.
            ("1.8446744073709550e19", 18_446_744_073_709_549_568),
            // The limits between the units, from either side.
            ("100000000000", 100_000_000_000_000_000),
            ("100000000000000", 100_000_000_000_000_000),
            ("100000000000000000", 100_000_000_000_000_000),
            ("17e8", 1_700_000_000_000_000_000),
        ] {
            assert_eq!(both(number)[0], Some(expected), "{number}");
            // `-0` is a float as a text.
            assert_eq!(both(number)[1], Some(expected), "{number} as a text");
        }
    }

    /// A number, written as a sign, digits, a fraction and an exponent.
    fn any_number(rng: &mut StdRng) -> String {
        let mut number = String::new();
        if rng.random_bool(0.1) {
            number.push('-');
        }
        match rng.random_range(0..3) {
            0 => number += &rng.random_range(0..=u128::from(u64::MAX) * 2).to_string(),
            1 => number += &(1_u128 << rng.random_range(0..80)).to_string(),
            _ => number += &rng.random_range(0..100_000_u32).to_string(),
        }
        if rng.random_bool(0.4) {
            number += &format!(".{}", rng.random_range(0..1_000_000_u32));
        }
        if rng.random_bool(0.4) {
            number += &format!("e{}", rng.random_range(-30..30));
        }
        number
    }

    #[test]
    fn no_number_is_read_as_a_time_that_it_does_not_say() {
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..200_000 {
            let number = any_number(&mut rng);
            let float: f64 = number.parse().unwrap();
            // The units that a number of this size may be in, near a limit also
            // the other one.
            let times = [1e9, 1e6, 1e3, 1.0].map(|unit| float * unit);
            for read in both(&number) {
                let Some(read) = read else {
                    let is_time = |time: &f64| (1e17..1.8e19).contains(time);
                    let units = times.iter().filter(|time| is_time(time)).count();
                    assert_eq!(units, 0, "{number} is a time");
                    continue;
                };
                assert!(float >= 0.0, "{number} was read as {read}");
                let is_near = |time: &f64| (time - read as f64).abs() <= 1e-15 * time + 1.0;
                assert!(times.iter().any(is_near), "{number} was read as {read}");
            }
        }
    }
}
