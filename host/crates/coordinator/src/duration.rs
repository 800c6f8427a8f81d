//! Durations as Go writes them: `10s`, `1h30m`, `1.5s`, `500ms`.
//!
//! Not read with `jiff`, whose format is another one: it accepts words
//! (`10 seconds`) and ISO 8601 (`PT10S`), which Consul refuses, and refuses `0`
//! without a unit and fractions before a smaller unit (`1.5h30m`), which Consul
//! accepts.

use std::time::Duration;

/// Each unit in nanoseconds; longer names come before those that they start
/// with.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads a duration. Returns `None` if the text is not one, or is negative.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let found = UNITS.iter().find_map(|(name, size)| {
            let after = unit.strip_prefix(name)?;
            // `m` must not match the start of `ms`.
            let whole = after.is_empty() || after.starts_with(|c: char| c.is_ascii_digit());
            whole.then_some((after, size))
        });
        let (after, size) = found?;
        nanos += number * size;
        rest = after;
    }
    // Go's limit is about 292 years, which is 9.2e18 ns.
    (nanos < 9e18).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1.5s"), Some(1500));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("1m1ms"), Some(60_001));
        assert_eq!(millis("0"), Some(0));
        for text in ["", "1", "x", "s", "-1s", "1d", "1s!", ".s", "1..5s"] {
            assert_eq!(millis(text), None, "{text:?}");
        }
    }
}
