//! The audit log: one line of JSON for each refusal and each action.
//!
//! A thread of its own writes it, so that no disk delays an answer. Refusals that
//! repeat are counted and written together, so that a flood of them fills no disk.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use sluice_types::error_chain::chain;
use sluice_types::files;
use thiserror::Error;

use crate::event::{Event, Outcome};
use crate::tally::Tally;

/// How many events may wait for the thread; further ones are counted only. So many of
/// them may be refusals, of which anybody can cause many.
const MAX_WAITING: usize = 2048;
const MAX_REFUSALS: usize = 1024;
/// The most bytes of a text of an event. Clients choose some.
const MAX_TEXT: usize = 1024;
/// How often the thread looks for repeated refusals whose time is over.
const TICK: Duration = Duration::from_secs(1);

/// Where refusals and actions are written.
#[derive(Clone, Debug)]
pub struct Audit {
    events: Option<SyncSender<Message>>,
    counts: Arc<Counts>,
}

/// What the log and its thread count.
#[derive(Debug, Default)]
struct Counts {
    /// Refusals that wait for the thread.
    refusals: AtomicUsize,
    /// Events that found no room.
    dropped: AtomicU64,
}

/// What the thread gets.
#[derive(Debug)]
enum Message {
    Event(Event),
    /// All that came before is to be written, and then this dropped.
    Flush(SyncSender<()>),
}

/// Why there can be no audit log.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The file cannot be written.
    #[error("write the audit log {}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There can be no thread for it.
    #[error("start the thread of the audit log")]
    Thread(#[source] io::Error),
}

/// An event with what the thread adds.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
    /// How often it came again since it was written.
    #[serde(skip_serializing_if = "is_zero")]
    repeated: u64,
    /// Events that are missing before this one.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Audit {
    /// Starts the thread that writes to `file`, which may be renamed or removed at
    /// any time; without one, to the node's log. It ends with the last clone.
    ///
    /// # Errors
    /// The file cannot be written, or there can be no thread.
    pub fn start(file: Option<PathBuf>) -> Result<Self, AuditError> {
        if let Some(file) = &file {
            files::append_to(file).map_err(|cause| AuditError::File {
                file: file.clone(),
                cause,
            })?;
        }
        let (sender, events) = sync_channel(MAX_WAITING);
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            file,
            counts: Arc::clone(&counts),
            tally: Tally::default(),
            has_failed: false,
        };
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&events))
            .map_err(AuditError::Thread)?;
        Ok(Self {
            events: Some(sender),
            counts,
        })
    }

    /// Writes nothing, for tests.
    #[must_use]
    pub fn discarded() -> Self {
        Self {
            events: None,
            counts: Arc::default(),
        }
    }

    /// Adds a line. Does not wait.
    pub fn add(&self, event: Event) {
        let Some(events) = &self.events else { return };
        let is_refusal = event.outcome == Outcome::Refused;
        let waiting = match is_refusal {
            true => self.counts.refusals.fetch_add(1, Ordering::Relaxed),
            false => 0,
        };
        let is_added = waiting < MAX_REFUSALS
            && events
                .try_send(Message::Event(event.shortened(MAX_TEXT)))
                .is_ok();
        if is_added {
            return;
        }
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        if is_refusal {
            self.counts.refusals.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything so far is written, also what was counted only, but for no
    /// longer than the limit.
    pub fn flush(&self, limit: Duration) {
        let (written_in, written) = sync_channel(1);
        let Some(events) = &self.events else { return };
        if events.try_send(Message::Flush(written_in)).is_ok() {
            // The sender is dropped when it is done.
            if written.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("the audit log is not written to its end");
            }
        }
    }
}

/// Writes the log.
#[derive(Debug)]
struct Writer {
    file: Option<PathBuf>,
    counts: Arc<Counts>,
    tally: Tally,
    /// Whether the last attempt to write failed, which is logged once.
    has_failed: bool,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let (flush, is_last) = match messages.recv_timeout(TICK) {
                Ok(message) => {
                    // What has gathered is written together.
                    let more = messages.try_iter().take(MAX_WAITING);
                    (self.write(std::iter::once(message).chain(more)), false)
                }
                Err(RecvTimeoutError::Timeout) => (Vec::new(), false),
                Err(RecvTimeoutError::Disconnected) => (Vec::new(), true),
            };
            let all = is_last || !flush.is_empty();
            let repeated = self.tally.over(Instant::now(), all);
            self.put(&repeated);
            if is_last {
                return;
            }
        }
    }

    /// Writes events, and returns who waits for that.
    fn write(&mut self, messages: impl Iterator<Item = Message>) -> Vec<SyncSender<()>> {
        let now = Instant::now();
        let (mut events, mut flush) = (Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Event(event) => {
                    if event.outcome == Outcome::Refused {
                        self.counts.refusals.fetch_sub(1, Ordering::Relaxed);
                    }
                    if self.tally.is_new(&event, now) {
                        events.push((event, 0));
                    }
                }
                Message::Flush(written) => flush.push(written),
            }
        }
        self.put(&events);
        flush
    }

    fn put(&mut self, events: &[(Event, u64)]) {
        if events.is_empty() {
            return;
        }
        let mut dropped = self.counts.dropped.swap(0, Ordering::Relaxed);
        let Some(file) = &self.file else {
            if dropped > 0 {
                tracing::warn!(dropped, "events are missing in the audit log");
            }
            return events.iter().for_each(log);
        };
        let mut text = Vec::new();
        for (event, repeated) in events {
            let line = Line {
                time: format!("{:.3}", Timestamp::now()),
                event,
                repeated: *repeated,
                dropped: std::mem::take(&mut dropped),
            };
            // Texts and numbers always have a JSON form.
            text.extend(serde_json::to_vec(&line).unwrap_or_default());
            text.push(b'\n');
        }
        // Opened each time, so that the file may be renamed.
        let written = files::append_to(file).and_then(|mut file| file.write_all(&text));
        if let Err(error) = &written
            && !self.has_failed
        {
            let (file, error) = (file.display(), chain(error));
            tracing::error!(%file, error, "cannot write the audit log");
        }
        if written.is_err() {
            events.iter().for_each(log);
        }
        self.has_failed = written.is_err();
    }
}

/// A line of the node's log.
fn log((event, repeated): &(Event, u64)) {
    let who = event.who.as_deref();
    let from = event.from.map(|address| address.to_string());
    let outcome = match event.outcome {
        Outcome::Refused => "refused",
        Outcome::Done => "done",
        Outcome::Failed => "failed",
    };
    let (what, detail) = (&event.what, &event.detail);
    tracing::info!(who, what, from, outcome, detail, repeated, "audit");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn event(outcome: Outcome) -> Event {
        Event {
            who: Some("web".into()),
            what: "send".to_owned(),
            from: Some([192, 0, 2, 1].into()),
            outcome,
            detail: "why".to_owned(),
        }
    }

    fn writer(file: &std::path::Path) -> Writer {
        Writer {
            file: Some(file.to_owned()),
            counts: Arc::default(),
            tally: Tally::default(),
            has_failed: false,
        }
    }

    #[test]
    fn a_flood_of_refusals_leaves_room_for_actions_and_all_is_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.log");
        let (sender, messages) = sync_channel(MAX_WAITING);
        let writer = writer(&file);
        let audit = Audit {
            events: Some(sender),
            counts: Arc::clone(&writer.counts),
        };
        // Nobody reads them yet.
        for _ in 0..3 * MAX_WAITING {
            audit.add(event(Outcome::Refused));
        }
        audit.add(event(Outcome::Done));
        let thread = thread::spawn(move || writer.run(&messages));
        audit.flush(Duration::from_secs(60));
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("\"done\""), "{text}");
        let dropped = 3 * MAX_WAITING - MAX_REFUSALS;
        assert!(text.contains(&format!("\"dropped\":{dropped}")), "{text}");
        let repeated = MAX_REFUSALS - 1;
        assert!(text.contains(&format!("\"repeated\":{repeated}")), "{text}");
        drop(audit);
        thread.join().unwrap();
    }

    #[test]
    fn long_texts_are_shortened() {
        let long = Event {
            detail: "ä".repeat(MAX_TEXT),
            ..event(Outcome::Refused)
        };
        let short = long.shortened(MAX_TEXT - 1);
        assert_eq!(short.detail, "ä".repeat(MAX_TEXT / 2 - 1));
    }

    #[test]
    fn actions_are_written_each_and_repeated_refusals_once_with_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.log");
        let mut writer = writer(&file);
        writer.counts.dropped.store(7, Ordering::Relaxed);
        let (sender, messages) = sync_channel(16);
        for _ in 0..3 {
            for outcome in [Outcome::Refused, Outcome::Done] {
                writer.counts.refusals.fetch_add(1, Ordering::Relaxed);
                sender.send(Message::Event(event(outcome))).unwrap();
            }
        }
        writer.write(messages.try_iter());
        drop(sender);
        writer.run(&messages);
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of = |outcome: &str| {
            lines
                .iter()
                .filter(|line| line["outcome"] == outcome)
                .count()
        };
        assert_eq!(
            (of("done"), of("refused"), lines.len()),
            (3, 2, 5),
            "{text}"
        );
        assert_eq!(lines[0]["dropped"], 7);
        assert_eq!(lines[0]["who"], "web");
        assert_eq!(lines[0]["from"], "192.0.2.1");
        assert!(lines[1].get("dropped").is_none());
        assert_eq!(lines[4]["repeated"], 2);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Audit::start(Some("/nowhere/audit.log".into())).unwrap_err();
        assert!(error.to_string().contains("/nowhere/audit.log"));
    }
}
