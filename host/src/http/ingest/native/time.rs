//! Times as producers write them.

use sluice_types::record::Value;

/// Nanoseconds since the Unix epoch, of RFC 3339 text or of a Unix time in
/// seconds, milliseconds, microseconds or nanoseconds, told apart by their
/// magnitude: each unit works for times from 1973 to beyond the year 5000.
///
/// # Errors
/// What is wrong with the value, worded for the producer.
pub(super) fn nanoseconds(value: &Value) -> Result<u64, String> {
    let parsed = match value {
        Value::Integer(integer) => u64::try_from(*integer).ok().and_then(from_integer),
        Value::Float(float) => from_float(*float),
        Value::Text(text) => from_text(text),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let said = match value {
            Value::Text(text) | Value::Json(text) => text.to_string(),
            Value::Integer(integer) => integer.to_string(),
            Value::Float(float) => float.to_string(),
            other => format!("{other:?}"),
        };
        format!(
            "the time {said:?} is neither RFC 3339 (like 2026-01-31T12:00:00Z) nor a Unix time \
             between 1970 and 2554"
        )
    })
}

fn from_text(text: &str) -> Option<u64> {
    if let Ok(integer) = text.parse() {
        return from_integer(integer);
    }
    if let Ok(float) = text.parse() {
        return from_float(float);
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_nanosecond()).ok()
}

/// The nanoseconds of the unit that a Unix time of this magnitude is in.
fn unit(magnitude: f64) -> u64 {
    match magnitude {
        m if m < 1e11 => 1_000_000_000,
        m if m < 1e14 => 1_000_000,
        m if m < 1e17 => 1_000,
        _ => 1,
    }
}

#[expect(clippy::cast_precision_loss, reason = "only the magnitude counts")]
fn from_integer(integer: u64) -> Option<u64> {
    integer.checked_mul(unit(integer as f64))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "range checked; a float has no more precision to lose"
)]
fn from_float(float: f64) -> Option<u64> {
    if !(0.0..1e20).contains(&float) {
        return None;
    }
    let unit = unit(float);
    let fraction = (float.fract() * unit as f64).round() as u64;
    (float.trunc() as u64)
        .checked_mul(unit)?
        .checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Value::Boolean(true),
            Value::Text("noon".into()),
            Value::Text("1960-01-01T00:00:00Z".into()),
            Value::Json("{}".into()),
        ] {
            assert!(
                nanoseconds(&value).unwrap_err().contains("RFC 3339"),
                "{value:?}"
            );
        }
    }
}
