//! Finds the frames in what a client sent: `TXNR SP COMMAND SP LENGTH [SP DATA] LF`.
//!
//! The bytes stay with the caller. The framer remembers the header of a frame, so
//! that it is read once however slowly the data arrive.

use std::ops::Range;

use thiserror::Error;

use super::command::{Command, NAME_BYTES_MAX};
use crate::syslog::framer::last_character;

/// The most data of a frame that are taken if nothing else is said, in bytes: the
/// limit of RELP and librelp.
pub const DATA_BYTES_MAX: usize = 128 << 10;
/// The most digits of a number.
const DIGITS_MAX: usize = 9;
/// The longest header with the space before the data, in bytes.
const HEADER_BYTES_MAX: usize = DIGITS_MAX + 1 + NAME_BYTES_MAX + 1 + DIGITS_MAX + 1;

/// The state of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framer {
    /// The most data of a frame, in bytes.
    longest: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a frame.
    Header,
    /// At the data of a frame.
    Data(Header),
    /// In data that are skipped. So many bytes are left, and a line feed.
    DataRest { left: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    transaction: u32,
    command: Command,
    length: usize,
}

/// A frame among the unread bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The transaction's number, 1 to 999,999,999; 0 for a hint, which is never
    /// answered.
    pub transaction: u32,
    /// What the client asks for.
    pub command: Command,
    /// Where the data are.
    pub data: Range<usize>,
    /// Whether there are more data, and the rest is skipped. librelp does the
    /// same: a client would send a frame that closes its connection for ever.
    pub is_truncated: bool,
    /// How many of the bytes are not needed once the frame is read.
    pub consumed: usize,
}

/// What is at the front of the unread bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A frame.
    Frame(Frame),
    /// No whole frame.
    More {
        /// How many of the bytes are not needed any more.
        consumed: usize,
    },
}

/// Why the frames of a connection cannot be told apart. It must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FramingError {
    /// The number of the transaction is wrong.
    #[error("a frame does not begin with a transaction number of 1 to {DIGITS_MAX} digits")]
    Transaction,
    /// The command is wrong.
    #[error("the command of a frame is not {NAME_BYTES_MAX} letters at most")]
    Command,
    /// The length of the data is wrong.
    #[error("the length of a frame is not a number of 1 to {DIGITS_MAX} digits")]
    Length,
    /// There is something else behind the data.
    #[error("a frame does not end with a line feed; its length is wrong")]
    End,
}

impl Framer {
    /// For a new connection, whose data are cut at `longest` bytes.
    #[must_use]
    pub const fn new(longest: usize) -> Self {
        Self {
            longest: if longest == 0 { 1 } else { longest },
            state: State::Header,
        }
    }

    /// How many unread bytes there may be before one of them is consumed.
    #[must_use]
    pub const fn unread_max(&self) -> usize {
        let data = self.longest.saturating_add(1);
        if data > HEADER_BYTES_MAX {
            data
        } else {
            HEADER_BYTES_MAX
        }
    }

    /// The next frame. `unread` begins with what was not consumed before; more
    /// bytes may have come since.
    ///
    /// # Errors
    /// It is no frame. Nothing is consumed, and the error stays.
    pub fn next(&mut self, unread: &[u8]) -> Result<Next, FramingError> {
        let before = *self;
        self.advance(unread).inspect_err(|_| *self = before)
    }

    fn advance(&mut self, unread: &[u8]) -> Result<Next, FramingError> {
        let mut consumed = 0;
        loop {
            let rest = unread.get(consumed..).unwrap_or_default();
            match self.state {
                State::Header => match header(rest)? {
                    Some((header, length)) => {
                        consumed += length;
                        self.state = State::Data(header);
                    }
                    None => return Ok(Next::More { consumed }),
                },
                State::Data(header) => {
                    let found = self.data(header, rest)?;
                    return Ok(found.map_or(Next::More { consumed }, |found| {
                        Next::Frame(Frame {
                            data: consumed + found.data.start..consumed + found.data.end,
                            consumed: consumed + found.consumed,
                            ..found
                        })
                    }));
                }
                State::DataRest { left } => {
                    let Some(end) = rest.get(left) else {
                        let left = left - rest.len();
                        self.state = State::DataRest { left };
                        consumed += rest.len();
                        return Ok(Next::More { consumed });
                    };
                    if *end != b'\n' {
                        return Err(FramingError::End);
                    }
                    consumed += left + 1;
                    self.state = State::Header;
                }
            }
        }
    }

    /// The whole frames among the unread bytes, `most` at most.
    pub fn batch(&mut self, unread: &[u8], most: usize) -> Batch {
        let mut batch = Batch {
            framer: *self,
            bytes: 0,
            frames: 0,
            error: None,
        };
        while batch.frames < most {
            match self.next(unread.get(batch.bytes..).unwrap_or_default()) {
                Ok(Next::Frame(frame)) => {
                    batch.bytes += frame.consumed;
                    batch.frames += 1;
                }
                Ok(Next::More { consumed }) => {
                    batch.bytes += consumed;
                    break;
                }
                Err(error) => {
                    batch.error = Some(error);
                    break;
                }
            }
        }
        batch
    }

    /// The frame whose data are at the front, if they are all there.
    fn data(&mut self, header: Header, unread: &[u8]) -> Result<Option<Frame>, FramingError> {
        let Header {
            transaction,
            command,
            length,
        } = header;
        // The byte behind the data shows that they are whole, or where to cut.
        let is_truncated = length > self.longest;
        let most = length.min(self.longest);
        let Some(end) = unread.get(most) else {
            return Ok(None);
        };
        if is_truncated {
            let left = length - most - 1;
            self.state = State::DataRest { left };
        } else if *end == b'\n' {
            self.state = State::Header;
        } else {
            return Err(FramingError::End);
        }
        let cut = match is_truncated {
            true => last_character(unread, most),
            false => most,
        };
        Ok(Some(Frame {
            transaction,
            command,
            data: 0..cut,
            is_truncated,
            consumed: most + 1,
        }))
    }
}

/// Whole frames at the front of what a client sent.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// As it was at the first of the bytes.
    framer: Framer,
    /// How many of the unread bytes the batch takes. There can be bytes without
    /// a frame, which are only to be dropped.
    pub bytes: usize,
    /// How many frames they contain.
    pub frames: usize,
    /// Why there are no more. The connection must be closed.
    pub error: Option<FramingError>,
}

impl Batch {
    /// The frames. `body` is exactly the bytes of the batch. The ranges are in
    /// it.
    pub fn frames(self, body: &[u8]) -> impl Iterator<Item = Frame> {
        let mut framer = self.framer;
        let mut at = 0;
        let next = move || {
            let Ok(Next::Frame(frame)) = framer.next(body.get(at..)?) else {
                return None;
            };
            let from = at;
            at += frame.consumed;
            Some(Frame {
                data: from + frame.data.start..from + frame.data.end,
                ..frame
            })
        };
        std::iter::from_fn(next).take(self.frames)
    }
}

/// The header at the front with the space before the data, and its length; `None`
/// if it is not all there.
fn header(unread: &[u8]) -> Result<Option<(Header, usize)>, FramingError> {
    let Some((transaction, rest)) = number(unread, FramingError::Transaction)? else {
        return Ok(None);
    };
    let Some(rest) = after_space(rest, FramingError::Transaction)? else {
        return Ok(None);
    };
    let letters = rest.iter().take(NAME_BYTES_MAX + 1);
    let letters = letters
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    if letters > NAME_BYTES_MAX || (letters == 0 && !rest.is_empty()) {
        return Err(FramingError::Command);
    }
    let (name, rest) = rest.split_at_checked(letters).unwrap_or_default();
    let Some(rest) = after_space(rest, FramingError::Command)? else {
        return Ok(None);
    };
    let Some((length, rest)) = number(rest, FramingError::Length)? else {
        return Ok(None);
    };
    let header = Header {
        transaction,
        command: Command::of(name),
        length: usize::try_from(length).map_err(|_| FramingError::Length)?,
    };
    // Without data there is no space either, but some clients write one.
    let rest = match rest {
        [b'\n', ..] if length == 0 => Some(rest),
        _ => after_space(rest, FramingError::Length)?,
    };
    Ok(rest.map(|rest| (header, unread.len() - rest.len())))
}

/// The number at the front, and what follows; `None` if its end has not come.
fn number(text: &[u8], error: FramingError) -> Result<Option<(u32, &[u8])>, FramingError> {
    let digits = text.iter().take(DIGITS_MAX + 1);
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    let (mut number, mut count) = (0, 0);
    for digit in digits {
        if count == DIGITS_MAX {
            return Err(error);
        }
        number = 10 * number + u32::from(digit - b'0');
        count += 1;
    }
    match text.get(count..) {
        None | Some([]) => Ok(None),
        Some(_) if count == 0 => Err(error),
        Some(rest) => Ok(Some((number, rest))),
    }
}

/// What is behind the space at the front; `None` if nothing has come.
fn after_space(text: &[u8], error: FramingError) -> Result<Option<&[u8]>, FramingError> {
    match text {
        [] => Ok(None),
        [b' ', rest @ ..] => Ok(Some(rest)),
        _ => Err(error),
    }
}
