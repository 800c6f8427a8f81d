//! What the header of a message says.

use memchr::memchr;

/// The parts of a message. Texts are parts of it, and empty where it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// Nanoseconds since the Unix epoch.
    pub(super) timestamp: Option<u64>,
    pub(super) host: &'a str,
    /// APP-NAME, or the tag.
    pub(super) app: &'a str,
    pub(super) process: &'a str,
    pub(super) message_id: &'a str,
    /// What follows.
    pub(super) rest: &'a str,
}

/// What is before the first space, and what is behind it.
pub(super) fn token(text: &str) -> Option<(&str, &str)> {
    let at = memchr(b' ', text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
