//! Finds the messages in what a TCP connection delivered (RFC 6587).
//!
//! A connection whose first bytes are a number and a space counts octets: before
//! each message comes its length. Any other connection ends each message with a
//! line feed or NUL; a carriage return before a line feed belongs to it. Empty
//! messages are skipped.
//!
//! The bytes stay with the caller. The framer only remembers how many of them it
//! has seen, so that none is looked at twice however slowly they arrive.

use std::ops::Range;

use memchr::memchr2;
use thiserror::Error;

/// The longest message that is taken if nothing else is said, in bytes: the
/// default of syslog-ng, and more than those of rsyslog and RFC 5424.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The shortest limit, in bytes. It is longer than what shows how messages are
/// framed.
const MESSAGE_BYTES_MIN: usize = 16;
/// The most digits of a length. None that can be waited for has more.
const COUNT_DIGITS_MAX: usize = 9;
/// What ends a message and does not count in its length, at most, in bytes.
const TERMINATOR_BYTES_MAX: usize = 2;

/// The state of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framer {
    /// The longest message, in bytes.
    longest: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has shown yet how messages are framed.
    Start,
    /// At a message that ends with a terminator. The first `seen` unread bytes
    /// contain none.
    Line { seen: usize },
    /// In the rest of such a message, which is skipped.
    LineRest,
    /// At the length of a message.
    Count,
    /// In the rest of a message that had a length. So many bytes are skipped.
    CountedRest { left: usize },
}

/// What is at the front of the unread bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A message.
    Message(Message),
    /// No whole message.
    More {
        /// How many of the bytes are not needed any more.
        consumed: usize,
    },
}

/// A message among the unread bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it is. Never empty.
    pub range: Range<usize>,
    /// Whether it was longer, and the rest is skipped.
    pub is_truncated: bool,
    /// How many of the bytes are not needed once the message is read.
    pub consumed: usize,
}

/// Why the messages of a connection cannot be told apart any more. It must be
/// closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FramingError {
    /// A message does not begin with its length, so the length before was wrong.
    #[error(
        "the connection counts octets, but {:?} is where the length of a message should be; the \
         length of the message before is wrong",
        char::from(*.0)
    )]
    NoCount(u8),
    /// A length is too long.
    #[error("the length of a message has more than {COUNT_DIGITS_MAX} digits")]
    TooManyDigits,
    /// A length has no end.
    #[error("{:?} is behind the length of a message instead of a space", char::from(*.0))]
    NoSpace(u8),
}

/// What one state makes of the unread bytes.
enum Step {
    /// So many bytes are done with; the next state goes on.
    Skip(usize),
    More(usize),
    Message(Message),
}

impl Framer {
    /// For a new connection, whose messages are cut at `longest` bytes, or at 16
    /// if that is less.
    #[must_use]
    pub const fn new(longest: usize) -> Self {
        Self {
            longest: if longest < MESSAGE_BYTES_MIN {
                MESSAGE_BYTES_MIN
            } else {
                longest
            },
            state: State::Start,
        }
    }

    /// For what is known to count octets.
    pub(crate) const fn counting(longest: usize) -> Self {
        Self {
            state: State::Count,
            ..Self::new(longest)
        }
    }

    /// How many unread bytes there may be before one of them is consumed.
    #[must_use]
    pub const fn unread_max(&self) -> usize {
        self.longest
            .saturating_add(COUNT_DIGITS_MAX + 1 + TERMINATOR_BYTES_MAX)
    }

    /// The next message. `unread` begins with what was not consumed before; more
    /// bytes may have come since.
    ///
    /// # Errors
    /// A length is wrong. Nothing is consumed, and the error stays.
    pub fn next(&mut self, unread: &[u8]) -> Result<Next, FramingError> {
        let before = *self;
        self.advance(unread).inspect_err(|_| *self = before)
    }

    fn advance(&mut self, unread: &[u8]) -> Result<Next, FramingError> {
        let mut at = 0;
        loop {
            let rest = unread.get(at..).unwrap_or_default();
            let step = match self.state {
                State::Start => self.start(rest),
                State::Line { seen } => self.line(rest, seen),
                State::LineRest => self.line_rest(rest),
                State::Count => self.counted(rest)?,
                State::CountedRest { left } => self.counted_rest(rest, left),
            };
            match step {
                Step::Skip(bytes) => at += bytes,
                Step::More(bytes) => {
                    let consumed = at + bytes;
                    return Ok(Next::More { consumed });
                }
                Step::Message(found) => {
                    return Ok(Next::Message(Message {
                        range: at + found.range.start..at + found.range.end,
                        consumed: at + found.consumed,
                        ..found
                    }));
                }
            }
        }
    }

    /// The message that the end of the connection ends. `unread` is what
    /// [`Self::next`] left.
    #[must_use]
    pub fn end(&self, unread: &[u8]) -> Option<Message> {
        let (start, is_truncated) = match self.state {
            State::LineRest | State::CountedRest { .. } => return None,
            State::Start | State::Line { .. } => (0, false),
            // The connection broke before the rest came.
            State::Count => (unread.iter().position(|byte| *byte == b' ')? + 1, true),
        };
        let text = trimmed(unread.get(start..)?);
        (!text.is_empty()).then(|| {
            let found = self.found(text, start, unread.len());
            Message {
                is_truncated: found.is_truncated || is_truncated,
                ..found
            }
        })
    }

    fn start(&mut self, unread: &[u8]) -> Step {
        let skipped = separators(unread);
        let text = unread.get(skipped..).unwrap_or_default();
        let digits = digits(text);
        match text.get(digits) {
            None if digits <= COUNT_DIGITS_MAX => return Step::More(skipped),
            Some(b' ') if (1..=COUNT_DIGITS_MAX).contains(&digits) => self.state = State::Count,
            _ => self.state = State::Line { seen: 0 },
        }
        Step::Skip(skipped)
    }

    fn line(&mut self, unread: &[u8], seen: usize) -> Step {
        let longest = self.longest.saturating_add(TERMINATOR_BYTES_MAX);
        let window = unread.get(..longest).unwrap_or(unread);
        let unseen = window.get(seen..).unwrap_or_default();
        if let Some(at) = memchr2(b'\n', 0, unseen) {
            self.state = State::Line { seen: 0 };
            let (line, consumed) = (window.get(..seen + at).unwrap_or_default(), seen + at + 1);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            return match line.is_empty() {
                true => Step::Skip(consumed),
                false => Step::Message(self.found(line, 0, consumed)),
            };
        }
        if window.len() == longest {
            self.state = State::LineRest;
            return Step::Message(self.found(window, 0, window.len()));
        }
        self.state = State::Line { seen: unread.len() };
        Step::More(0)
    }

    fn line_rest(&mut self, unread: &[u8]) -> Step {
        match memchr2(b'\n', 0, unread) {
            Some(at) => {
                self.state = State::Line { seen: 0 };
                Step::Skip(at + 1)
            }
            None => Step::More(unread.len()),
        }
    }

    fn counted(&mut self, unread: &[u8]) -> Result<Step, FramingError> {
        let skipped = separators(unread);
        let text = unread.get(skipped..).unwrap_or_default();
        let digits = digits(text);
        if digits > COUNT_DIGITS_MAX {
            return Err(FramingError::TooManyDigits);
        }
        match text.get(digits) {
            None => return Ok(Step::More(skipped)),
            Some(b' ') if digits > 0 => {}
            Some(byte) if digits > 0 => return Err(FramingError::NoSpace(*byte)),
            Some(byte) => return Err(FramingError::NoCount(*byte)),
        }
        let number = text.get(..digits).unwrap_or_default();
        let count = number
            .iter()
            .fold(0, |count, digit| 10 * count + usize::from(digit - b'0'));
        let start = skipped + digits + 1;
        let rest = unread.get(start..).unwrap_or_default();
        Ok(self.counted_message(rest, start, count, skipped))
    }

    /// The message at the front of `rest`, which begins at `start`.
    fn counted_message(&mut self, rest: &[u8], start: usize, count: usize, skipped: usize) -> Step {
        if count <= self.longest.saturating_add(TERMINATOR_BYTES_MAX) {
            let Some(message) = rest.get(..count).map(trimmed) else {
                return Step::More(skipped);
            };
            return match message.is_empty() {
                true => Step::Skip(start + count),
                false => Step::Message(self.found(message, start, start + count)),
            };
        }
        // One byte more shows whether a character is cut.
        let Some(message) = rest.get(..self.longest.saturating_add(1)) else {
            return Step::More(skipped);
        };
        let left = count - message.len();
        self.state = State::CountedRest { left };
        Step::Message(self.found(message, start, start + message.len()))
    }

    fn counted_rest(&mut self, unread: &[u8], left: usize) -> Step {
        let skipped = left.min(unread.len());
        let left = left - skipped;
        if left > 0 {
            self.state = State::CountedRest { left };
            return Step::More(skipped);
        }
        self.state = State::Count;
        Step::Skip(skipped)
    }

    /// A message of these bytes, or of as many as are taken.
    fn found(&self, message: &[u8], start: usize, consumed: usize) -> Message {
        let length = match message.len() > self.longest {
            true => last_character(message, self.longest),
            false => message.len(),
        };
        Message {
            range: start..start + length,
            is_truncated: length < message.len(),
            consumed,
        }
    }
}

/// How many bytes at the front may be between messages.
fn separators(text: &[u8]) -> usize {
    let is_separator = |byte: &&u8| matches!(**byte, b'\n' | b'\r' | 0);
    text.iter().take_while(is_separator).count()
}

/// How many digits are at the front; one more than may be stands for all above.
fn digits(text: &[u8]) -> usize {
    let first = text.iter().take(COUNT_DIGITS_MAX + 1);
    first.take_while(|byte| byte.is_ascii_digit()).count()
}

/// A message without the terminator that its sender counted in.
pub(crate) fn trimmed(message: &[u8]) -> &[u8] {
    let message = message.strip_suffix(b"\0").unwrap_or(message);
    match message.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => message,
    }
}

/// Where to cut a longer text at `longest` bytes so that no character of UTF-8 is
/// cut. Text in another encoding is cut there anyway.
pub(crate) fn last_character(text: &[u8], longest: usize) -> usize {
    let is_start = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 != 0x80);
    let earliest = longest.saturating_sub(3).max(1);
    let start = (earliest..=longest).rev().find(is_start);
    start.unwrap_or(longest)
}
