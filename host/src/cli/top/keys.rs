//! Keys, from the bytes that a terminal sends for them.

use std::time::Duration;

use tokio::time::Instant;

/// How long Esc waits for the rest of another key, which begins with the same byte.
const ESCAPE_WAIT: Duration = Duration::from_millis(50);
/// The most bytes of a key that is not known yet.
const PARTIAL_MAX: usize = 32;

const CONTROL_C: u8 = 0x03;
const CONTROL_D: u8 = 0x04;
const ESCAPE: u8 = 0x1b;

/// What somebody wants by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    Quit,
    /// Closes what is open, or quits.
    Back,
    Pause,
    Sort,
    Up,
    Down,
    Help,
    Nothing,
}

/// Bytes that have not become keys yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Until when what is left may become another key than Esc.
    complete_at: Option<Instant>,
}

impl Press {
    const fn of_byte(byte: u8) -> Self {
        match byte {
            CONTROL_C | CONTROL_D | b'q' | b'Q' => Self::Quit,
            b'p' | b'P' | b' ' => Self::Pause,
            b's' | b'S' => Self::Sort,
            b'k' => Self::Up,
            b'j' => Self::Down,
            b'?' | b'h' => Self::Help,
            _ => Self::Nothing,
        }
    }

    /// By the last byte of a sequence that begins with Esc.
    const fn of_sequence(last: u8) -> Self {
        match last {
            b'A' => Self::Up,
            b'B' => Self::Down,
            _ => Self::Nothing,
        }
    }
}

impl Keys {
    /// Adds bytes that the terminal has sent.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) {
        self.bytes.extend_from_slice(bytes);
        self.complete_at = Some(now + ESCAPE_WAIT);
    }

    /// The next key; `None` if there is none, or not all of it yet.
    pub(super) fn next(&mut self, now: Instant) -> Option<Press> {
        let is_over = self.complete_at.is_none_or(|at| at <= now) || self.bytes.len() > PARTIAL_MAX;
        let (press, length) = match first(&self.bytes) {
            Some(found) => found,
            None if self.bytes == [ESCAPE] && is_over => (Press::Back, 1),
            None if !self.bytes.is_empty() && is_over => (Press::Nothing, self.bytes.len()),
            None => return None,
        };
        self.bytes.drain(..length.min(self.bytes.len()));
        Some(press)
    }

    /// When to ask again although nothing was added.
    pub(super) fn ask_again_at(&self) -> Option<Instant> {
        self.complete_at.filter(|_| !self.bytes.is_empty())
    }
}

/// The first key and how many bytes it has; `None` if more may follow.
fn first(bytes: &[u8]) -> Option<(Press, usize)> {
    match bytes {
        [] | [ESCAPE] => None,
        [ESCAPE, b'[' | b'O', rest @ ..] => {
            let is_last = |byte: &u8| (0x40..=0x7e).contains(byte);
            let end = rest.iter().position(is_last)?;
            let last = rest.get(end).copied().unwrap_or_default();
            Some((Press::of_sequence(last), end + 3))
        }
        [ESCAPE, ESCAPE, ..] => Some((Press::Back, 1)),
        // A key together with Alt.
        [ESCAPE, _, ..] => Some((Press::Nothing, 2)),
        [byte, ..] => Some((Press::of_byte(*byte), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys in these parts, of which each is sent long after the one before.
    fn keys(parts: &[&[u8]]) -> Vec<Press> {
        let (mut keys, mut now, mut pressed) = (Keys::default(), Instant::now(), Vec::new());
        for part in parts {
            keys.push(part, now);
            pressed.extend(std::iter::from_fn(|| keys.next(now)));
            now += ESCAPE_WAIT;
            pressed.extend(std::iter::from_fn(|| keys.next(now)));
        }
        assert_eq!(keys.ask_again_at(), None);
        pressed
    }

    #[test]
    fn keys_have_meanings() {
        use Press::{Back, Down, Help, Nothing, Pause, Quit, Sort, Up};
        for (bytes, expected) in [
            (&b"q"[..], &[Quit][..]),
            (b"\x03", &[Quit]),
            (b"\x04", &[Quit]),
            (b"c", &[Nothing]),
            (b"p s?", &[Pause, Pause, Sort, Help]),
            (b"\x1b[A\x1b[B\x1bOA", &[Up, Down, Up]),
            (b"\x1b[1;5Bj", &[Down, Down]),
            (b"\x1b[3~k", &[Nothing, Up]),
            (b"\x1bq", &[Nothing]),
            (b"\x1b", &[Back]),
            (b"\x1b\x1b", &[Back, Back]),
            (b"\x1b[", &[Nothing]),
            ("é".as_bytes(), &[Nothing, Nothing]),
        ] {
            assert_eq!(keys(&[bytes]), expected, "{bytes:?}");
        }
        assert_eq!(keys(&[b"\x1b", b"[A"]), [Back, Nothing, Nothing]);
    }

    #[test]
    fn a_key_may_come_in_parts_but_not_for_ever() {
        let (mut keys, start) = (Keys::default(), Instant::now());
        keys.push(b"\x1b", start);
        assert_eq!(keys.next(start), None);
        assert_eq!(keys.ask_again_at(), Some(start + ESCAPE_WAIT));
        keys.push(b"[", start + ESCAPE_WAIT / 2);
        assert_eq!(keys.next(start + ESCAPE_WAIT), None);
        keys.push(b"A", start + ESCAPE_WAIT);
        assert_eq!(keys.next(start + ESCAPE_WAIT), Some(Press::Up));
        assert_eq!(keys.next(start + ESCAPE_WAIT), None);

        keys.push(b"\x1b[", start);
        keys.push(&[b'1'; PARTIAL_MAX], start);
        assert_eq!(keys.next(start), Some(Press::Nothing));
        assert!(keys.bytes.is_empty());
    }
}
