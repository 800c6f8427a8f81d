//! The last lines of the node's log, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The most lines that are kept.
const LINES_MAX: usize = 4096;
/// The most bytes that all of them take, with what each one takes beside its text.
const BYTES_MAX: usize = 1 << 20;
/// What a line takes beside its text: its place in the ring, two counts, and what the
/// allocator rounds up.
const LINE_EXTRA: usize = 48;
/// The most bytes of one line; the rest is cut off.
const LINE_MAX: usize = 8 << 10;
const CUT: &[u8] = b" (cut)";
/// What begins a sequence that colours text on a terminal.
const ESCAPE: char = '\u{1b}';

/// The last lines of this process's log. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentLog(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Arc<[u8]>>,
    /// What they take.
    bytes: usize,
    forgotten: u64,
}

/// The lines at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct RecentLines {
    /// The oldest first, without colours.
    pub(crate) lines: Vec<String>,
    /// How many came before them since the process started.
    pub(crate) forgotten: u64,
}

impl RecentLog {
    /// Adds a line, and forgets the oldest ones if there is no room.
    pub(crate) fn push(&self, line: &[u8]) {
        let line = line.trim_ascii_end();
        let kept: Arc<[u8]> = match line.get(..LINE_MAX) {
            Some(beginning) if line.len() > LINE_MAX => [beginning, CUT].concat().into(),
            _ => line.into(),
        };
        let mut ring = self.ring();
        ring.bytes += kept.len() + LINE_EXTRA;
        ring.lines.push_back(kept);
        while ring.bytes > BYTES_MAX || ring.lines.len() > LINES_MAX {
            let Some(oldest) = ring.lines.pop_front() else {
                return;
            };
            ring.bytes -= oldest.len() + LINE_EXTRA;
            ring.forgotten += 1;
        }
    }

    /// The lines that are kept.
    pub(crate) fn lines(&self) -> RecentLines {
        // Nothing that logs waits while they are decoded.
        let (lines, forgotten) = {
            let ring = self.ring();
            (ring.lines.clone(), ring.forgotten)
        };
        let lines = lines.iter();
        let lines = lines.map(|line| without_colors(&String::from_utf8_lossy(line)));
        RecentLines {
            lines: lines.collect(),
            forgotten,
        }
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves out what a terminal obeys: `ESC [`, numbers, and a letter.
fn without_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character != ESCAPE {
            plain.push(character);
            continue;
        }
        if characters.next() == Some('[') {
            characters.find(char::is_ascii_alphabetic);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lines_are_kept_without_colors() {
        let log = RecentLog::default();
        log.push(b"\x1b[2m2026\x1b[0m \x1b[32m INFO\x1b[0m started\n");
        log.push(b"{\"level\":\"WARN\"}\n");
        let expected = RecentLines {
            lines: vec![
                "2026  INFO started".to_owned(),
                "{\"level\":\"WARN\"}".to_owned(),
            ],
            forgotten: 0,
        };
        assert_eq!(log.lines(), expected);
    }

    #[test]
    fn what_is_kept_is_bounded_in_lines_and_bytes() {
        for bytes in [0, 10, 1000, LINE_MAX, 1 << 20] {
            let log = RecentLog::default();
            let line = vec![b'x'; bytes];
            let pushed = 2 * LINES_MAX;
            (0..pushed).for_each(|_| log.push(&line));
            let kept = log.lines();
            let taken: usize = kept.lines.iter().map(|line| line.len() + LINE_EXTRA).sum();
            assert!(
                kept.lines.len() <= LINES_MAX && taken <= BYTES_MAX,
                "{bytes}"
            );
            assert!(
                kept.lines.len() == LINES_MAX || taken > BYTES_MAX / 2,
                "{bytes}"
            );
            let forgotten = usize::try_from(kept.forgotten).unwrap();
            assert_eq!(forgotten + kept.lines.len(), pushed, "{bytes}");
        }
    }

    #[test]
    fn the_latest_line_survives() {
        let log = RecentLog::default();
        for number in 0..LINES_MAX + 5 {
            log.push(format!("line {number}").as_bytes());
        }
        let kept = log.lines();
        assert_eq!(kept.lines.first().unwrap(), "line 5");
        assert_eq!(
            kept.lines.last().unwrap(),
            &format!("line {}", LINES_MAX + 4)
        );
    }
}
