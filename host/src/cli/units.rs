//! Durations (`200ms`, `5s`, `2m`) and sizes (`64KiB`, `16MiB`).

use std::time::Duration;

/// Reads a duration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, unit) = split(text);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    let value = factor
        .zip(number.parse::<f64>().ok())
        .map(|(factor, number)| factor * number);
    match value {
        Some(seconds) if (0.0..=1e9).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a duration like 200ms, 5s or 2m".to_owned()),
    }
}

/// Reads a size in bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 5] = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let (number, unit) = split(text);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    factor
        .zip(number.parse::<usize>().ok())
        .and_then(|(factor, number)| factor.checked_mul(number))
        .ok_or_else(|| "expected a size like 64KiB, 16MiB or 1GiB".to_owned())
}

/// The number and the unit that follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.trim(), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "5", "5 days", "-1s", "NaNs", "1e99h"] {
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
}
