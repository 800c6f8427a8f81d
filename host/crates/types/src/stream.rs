//! The names of streams.

use thiserror::Error;

/// The name of the stream that requests are for if they name none.
pub const DEFAULT_STREAM: &str = "default";

/// The most characters of a stream's name.
pub const LONGEST_NAME: usize = 40;

/// A name that no stream can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a stream's name has 1 to {LONGEST_NAME} characters: a-z, 0-9 and -")]
pub struct BadStreamName;

/// Checks the name of a stream.
///
/// # Errors
/// No stream can have this name.
pub fn check_name(name: &str) -> Result<(), BadStreamName> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_short = (1..=LONGEST_NAME).contains(&name.len());
    match is_short && name.bytes().all(is_allowed) {
        true => Ok(()),
        false => Err(BadStreamName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "a".repeat(LONGEST_NAME);
        for name in ["a", "audit-2", "default", "-", longest.as_str()] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        for name in ["", "A", "a/b", "a b", "a_b", "ä", long.as_str()] {
            assert_eq!(check_name(name), Err(BadStreamName), "{name}");
        }
    }
}
