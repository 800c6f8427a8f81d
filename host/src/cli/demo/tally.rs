//! Counts which messages were acknowledged and which appeared in an output.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

/// The text of a message up to its number.
pub(super) const MESSAGE: &str = "Message: ";
/// The most numbers that a summary lists.
const MAX_LISTED: usize = 20;

/// What was sent, acknowledged and seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: u64,
    unacknowledged: BTreeSet<u64>,
    /// Acknowledged, but not yet seen in an output.
    unseen: BTreeSet<u64>,
    /// Seen in an output before the acknowledgement arrived.
    early: BTreeSet<u64>,
    slowest: Duration,
}

impl Tally {
    /// Whether any message was acknowledged.
    pub(super) fn has_acknowledged(&self) -> bool {
        self.sent > self.count_unacknowledged()
    }

    pub(super) fn acknowledged(&mut self, number: u64, took: Duration) {
        self.sent += 1;
        self.slowest = self.slowest.max(took);
        if !self.early.remove(&number) {
            self.unseen.insert(number);
        }
        // Messages are sent in order, so a lower number was seen a second time.
        self.early.retain(|early| *early > number);
    }

    pub(super) fn unacknowledged(&mut self, number: u64) {
        self.sent += 1;
        self.unacknowledged.insert(number);
    }

    /// Takes note of the messages in a line of a sink's output, in any format.
    pub(super) fn seen(&mut self, line: &str) {
        for (at, _) in line.match_indices(MESSAGE) {
            let rest = line.get(at + MESSAGE.len()..).unwrap_or_default();
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let number = rest.get(..end).and_then(|digits| digits.parse().ok());
            if let Some(number) = number
                && !self.unseen.remove(&number)
                && number > self.sent
            {
                self.early.insert(number);
            }
        }
    }

    /// Takes note of the messages in all files below this directory.
    pub(super) fn seen_in_files(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.seen_in_files(&entry.path()),
                Ok(kind) if kind.is_file() => self.seen_in_file(&entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn seen_in_file(&mut self, path: &Path) {
        // Messages in a file that cannot be read count as missing.
        let Ok(file) = File::open(path) else { return };
        for line in BufReader::new(file).split(b'\n') {
            let Ok(line) = line else { return };
            self.seen(&String::from_utf8_lossy(&line));
        }
    }

    /// Whether every message was acknowledged and seen in an output.
    pub(super) fn is_complete(&self) -> bool {
        self.has_acknowledged() && self.unacknowledged.is_empty() && self.unseen.is_empty()
    }

    /// The result as lines of text.
    pub(super) fn summary(&self) -> Vec<String> {
        if self.sent == 0 {
            return vec!["no message was sent".to_owned()];
        }
        let sent = self.sent;
        if self.is_complete() {
            return vec![format!(
                "messages: {sent} sent, every one was acknowledged and is in an output; the slowest \
                 took {}",
                in_words(self.slowest)
            )];
        }
        let acknowledged = sent - self.count_unacknowledged();
        let mut lines = vec![format!(
            "messages: {sent} sent, {acknowledged} acknowledged"
        )];
        if !self.unacknowledged.is_empty() {
            lines.push(format!("not acknowledged: {}", list(&self.unacknowledged)));
        }
        if !self.unseen.is_empty() {
            lines.push(format!(
                "acknowledged, but in no output that the demo can see (what sinks print, and files \
                 in the nodes' folders): {}",
                list(&self.unseen)
            ));
        }
        lines
    }

    fn count_unacknowledged(&self) -> u64 {
        u64::try_from(self.unacknowledged.len()).unwrap_or(u64::MAX)
    }
}

fn list(numbers: &BTreeSet<u64>) -> String {
    let texts: Vec<_> = numbers
        .iter()
        .take(MAX_LISTED)
        .map(u64::to_string)
        .collect();
    let mut text = texts.join(", ");
    if numbers.len() > MAX_LISTED {
        // Writing to a string never fails.
        let _never = write!(text, " and {} more", numbers.len() - MAX_LISTED);
    }
    text
}

/// `0.4 ms`, `3 ms`, `1.9 s`.
pub(super) fn in_words(time: Duration) -> String {
    match time.as_millis() {
        0 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        millis @ 1..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(3);

    #[test]
    fn what_is_acknowledged_must_be_seen() {
        let mut tally = Tally::default();
        assert!(!tally.is_complete());
        tally.seen("Message: 1");
        tally.acknowledged(1, MOMENT);
        tally.acknowledged(2, MOMENT);
        assert!(!tally.is_complete());
        assert!(
            tally
                .summary()
                .last()
                .is_some_and(|line| line.ends_with(": 2"))
        );
        tally.seen(r#"{"epoch":1,"body":"Message: 2"}"#);
        assert!(tally.is_complete());
        tally.unacknowledged(3);
        assert!(!tally.is_complete());
        assert_eq!(
            tally.summary(),
            ["messages: 3 sent, 2 acknowledged", "not acknowledged: 3"]
        );
    }

    #[test]
    fn repeats_and_other_text_are_not_taken_for_messages() {
        let mut tally = Tally::default();
        tally.seen("Message: 1 Message: x");
        tally.seen("Message: 1");
        tally.acknowledged(1, MOMENT);
        tally.seen("Message: 1");
        assert!(tally.is_complete() && tally.early.is_empty());
    }

    #[test]
    fn files_are_outputs_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("audit")).unwrap();
        fs::write(folder.path().join("audit/a.ndjson"), "x\nMessage: 7\n").unwrap();
        let mut tally = Tally::default();
        tally.acknowledged(7, MOMENT);
        tally.seen_in_files(folder.path());
        assert!(tally.is_complete());
    }

    #[test]
    fn many_numbers_are_cut_short() {
        assert_eq!(list(&BTreeSet::from([3, 5])), "3, 5");
        assert!(list(&(1..=25).collect()).ends_with("20 and 5 more"));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(in_words(Duration::from_micros(430)), "0.4 ms");
        assert_eq!(in_words(Duration::from_micros(3700)), "3 ms");
        assert_eq!(in_words(Duration::from_millis(1940)), "1.9 s");
    }
}
