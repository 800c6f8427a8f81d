//! Sizes in bytes as people write them: `64KiB`, `16MiB`.

/// Parses a size in bytes, with or without a unit, such as `1000` or `64KiB`.
///
/// # Errors
/// The text is not a size, or does not fit in a `usize`.
pub fn parse(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 5] = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    factor
        .zip(number.trim().parse::<usize>().ok())
        .and_then(|(factor, number)| factor.checked_mul(number))
        .ok_or_else(|| "expected a size like 64KiB, 16MiB or 1GiB".to_owned())
}
