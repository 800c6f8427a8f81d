//! Server-sent events as text.

use memchr::memmem;
use serde::Serialize;

/// Says that the connection lives. Clients ignore it.
pub(super) const COMMENT: &str = ":\n\n";
/// What ends an event.
const END: &[u8] = b"\n\n";
/// The most bytes of an event that is read: that of a record has less than 32 KiB,
/// even if every byte of its text is escaped.
const EVENT_BYTES_MAX: usize = 64 << 10;

/// Appends an event.
pub(super) fn push(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    let before = out.len();
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    // JSON on one line. Texts and numbers always have a JSON form.
    match serde_json::to_writer(&mut *out, data) {
        Ok(()) => out.extend_from_slice(END),
        Err(_) => out.truncate(before),
    }
}

/// Puts events together that arrive in parts.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    rest: Vec<u8>,
}

/// Something is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoEvent;

impl Splitter {
    /// Adds a part, and returns the events that are complete now.
    ///
    /// # Errors
    /// What is incomplete is too long to be an event.
    pub(crate) fn push(&mut self, part: &[u8]) -> Result<Vec<u8>, NoEvent> {
        self.rest.extend_from_slice(part);
        let end = memmem::rfind(&self.rest, END).map_or(0, |at| at + END.len());
        let rest = self.rest.split_off(end);
        let whole = std::mem::replace(&mut self.rest, rest);
        match self.rest.len() > EVENT_BYTES_MAX {
            true => Err(NoEvent),
            false => Ok(whole),
        }
    }
}

/// The names and data of complete events. Comments are left out.
pub(crate) fn events(whole: &str) -> impl Iterator<Item = (&str, &str)> {
    whole.split("\n\n").filter_map(|event| {
        let mut lines = event.lines();
        let name = lines.next()?.strip_prefix("event: ")?;
        let data = lines.next()?.strip_prefix("data: ")?;
        Some((name, data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written_however_they_are_split() {
        let mut text = Vec::new();
        push(&mut text, "a", &"x\n\ny");
        text.extend_from_slice(COMMENT.as_bytes());
        push(&mut text, "b", &2);
        for size in 1..text.len() {
            let mut splitter = Splitter::default();
            let mut found = Vec::new();
            for part in text.chunks(size) {
                let whole = String::from_utf8(splitter.push(part).unwrap()).unwrap();
                let owned = |(name, data): (&str, &str)| (name.to_owned(), data.to_owned());
                found.extend(events(&whole).map(owned));
            }
            let expected = [("a", r#""x\n\ny""#), ("b", "2")];
            let expected = expected.map(|(name, data)| (name.to_owned(), data.to_owned()));
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn what_never_ends_is_no_event() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(&[b'x'; EVENT_BYTES_MAX]), Ok(Vec::new()));
        assert_eq!(splitter.push(b"x"), Err(NoEvent));
    }
}
