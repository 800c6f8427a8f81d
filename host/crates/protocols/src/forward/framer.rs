//! Finds where the messages of a connection end.

use thiserror::Error;

use super::msgpack::{Step, Walk};

/// Finds the end of one message after the other. What it remembers between calls
/// takes a few words, however long or deep a message is, and no byte is looked at
/// twice, however small the pieces are that arrive.
#[derive(Clone, Debug)]
pub struct Framer {
    /// The most bytes of a message.
    most: usize,
    walk: Walk,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The first message has so many bytes, and all of them are there. The next
    /// message begins behind them.
    Whole(usize),
    /// The first message has at least so many bytes, more than are there, and not
    /// more than may be.
    Needs(usize),
}

/// Why the connection cannot be read any further. It can only be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A message has more bytes than are taken.
    #[error("a message has more than {0} bytes")]
    TooLarge(usize),
    /// It is not MessagePack.
    #[error("it is no MessagePack")]
    Malformed,
    /// It is something else than Forward, named here.
    #[error("it is {0}, and no message of the Forward protocol")]
    Foreign(&'static str),
}

impl Framer {
    /// For messages of at most so many bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        let walk = Walk::new();
        Self { most, walk }
    }

    /// Looks for the end of the first message in `received`: all bytes that
    /// arrived since the end of the message before. As long as it needs more, it
    /// must be called with the same bytes and those that arrived since.
    ///
    /// # Errors
    /// No message can be there.
    pub fn next(&mut self, received: &[u8]) -> Result<Framing, FrameError> {
        if self.walk.is_at_start() {
            check_start(received)?;
        }
        let too_large = FrameError::TooLarge(self.most);
        match self.walk.advance(received) {
            Step::Unused => Err(FrameError::Malformed),
            Step::End(length) if length > self.most => Err(too_large),
            Step::End(length) => {
                self.walk = Walk::new();
                Ok(Framing::Whole(length))
            }
            Step::Needs(length) => match usize::try_from(length) {
                Ok(length) if length <= self.most => Ok(Framing::Needs(length)),
                _ => Err(too_large),
            },
        }
    }
}

/// A message is an array, or nil. Of what else arrives at such ports, the usual
/// is named.
fn check_start(received: &[u8]) -> Result<(), FrameError> {
    match received.first() {
        None | Some(0x90..=0x9f | 0xdc | 0xdd | 0xc0) => Ok(()),
        Some(b'[' | b'{') => Err(FrameError::Foreign("JSON")),
        Some(0x16) => Err(FrameError::Foreign("TLS")),
        Some(b'A'..=b'Z') => Err(FrameError::Foreign("HTTP or other text")),
        Some(b'<') => Err(FrameError::Foreign("syslog")),
        Some(0xc1) => Err(FrameError::Malformed),
        Some(_) => Err(FrameError::Foreign("a value of another type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const MOST: usize = 16 << 20;

    #[test]
    fn messages_follow_each_other() {
        let received = b"\x93\xa1t\x01\x80\xc0\x92\xa1t\xc4\x00\x93";
        let mut framer = Framer::new(MOST);
        let mut rest = &received[..];
        for length in [5, 1, 5] {
            assert_eq!(framer.next(rest), Ok(Framing::Whole(length)));
            rest = &rest[length..];
        }
        assert_eq!(framer.next(rest), Ok(Framing::Needs(4)));
        assert_eq!(framer.next(b""), Ok(Framing::Needs(4)));
    }

    #[test]
    fn what_is_needed_at_least_grows_up_to_the_length() {
        let message = b"\x92\xa3tag\xc5\x01\x00";
        let whole = [&message[..], &[7; 256]].concat();
        let mut framer = Framer::new(MOST);
        let mut least = 1;
        for end in 0..whole.len() {
            let Ok(Framing::Needs(needed)) = framer.next(&whole[..end]) else {
                panic!("{end}")
            };
            assert!(needed > end && needed >= least && needed <= whole.len());
            least = needed;
        }
        assert_eq!(least, whole.len());
        assert_eq!(framer.next(&whole), Ok(Framing::Whole(whole.len())));
    }

    #[test]
    fn a_message_that_must_become_too_large_is_refused_at_its_head() {
        for head in [
            &b"\xdd\x00\xff\xff\xff"[..],
            b"\x92\xa1t\xc6\x00\xff\xff\xff",
            b"\x92\xa1t\xdb\xff\xff\xff\xff",
            b"\x92\xa1t\xdf\xff\xff\xff\xff",
            b"\x92\xa1t\xc9\xff\xff\xff\xff",
        ] {
            let mut framer = Framer::new(1 << 20);
            assert_eq!(framer.next(head), Err(FrameError::TooLarge(1 << 20)));
        }
        let message = b"\x92\xa1t\xc4\x05abcde";
        assert_eq!(Framer::new(10).next(message), Ok(Framing::Whole(10)));
        assert_eq!(Framer::new(9).next(message), Err(FrameError::TooLarge(9)));
    }

    #[test]
    fn what_is_not_forward_is_named() {
        for (received, name) in [
            (&b"GET / HTTP/1.1\r\n"[..], "HTTP"),
            (b"[\"tag\",1,{}]", "JSON"),
            (b"\x16\x03\x01", "TLS"),
            (b"<34>1 - - - - - -", "syslog"),
            (b"\x81\xa3ack\x01", "another type"),
            (b"\xc1", "no MessagePack"),
            (b"\x92\xa1t\xc1", "no MessagePack"),
        ] {
            let error = Framer::new(MOST).next(received).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_work_grows_with_the_bytes_and_not_with_their_pieces() {
        // 16 MiB of values of one byte each, in pieces of one byte.
        let mut whole = vec![0xdd, 0, 0xff, 0xff, 0xfb];
        whole.resize(MOST, 0xc0);
        let mut framer = Framer::new(MOST);
        let start = Instant::now();
        for end in 5..MOST {
            assert_eq!(framer.next(&whole[..end]), Ok(Framing::Needs(MOST)));
        }
        assert_eq!(framer.next(&whole), Ok(Framing::Whole(MOST)));
        // Looking at all bytes again at each call would take hours.
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(size_of::<Framer>() <= 32);
    }
}
