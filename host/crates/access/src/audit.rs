//! The audit log: one line of JSON for each refusal and each action.
//!
//! A thread of its own writes it, so that no disk delays an answer. Refusals that
//! repeat are counted and written together, so that a flood of them fills no disk.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// How many events may wait for the thread; further ones are counted only.
const MAX_WAITING: usize = 1024;
/// How often the thread looks for repeated refusals whose time is over.
const TICK: Duration = Duration::from_secs(1);

/// Where refusals and actions are written.
#[derive(Clone, Debug)]
pub struct Audit {
    events: Option<SyncSender<Event>>,
    /// Events that found no room.
    dropped: Arc<AtomicU64>,
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
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            file,
            dropped: Arc::clone(&dropped),
            tally: Tally::default(),
            has_failed: false,
        };
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&events))
            .map_err(AuditError::Thread)?;
        Ok(Self {
            events: Some(sender),
            dropped,
        })
    }

    /// Writes nothing, for tests.
    #[must_use]
    pub fn discarded() -> Self {
        Self {
            events: None,
            dropped: Arc::default(),
        }
    }

    /// Adds a line. Does not wait.
    pub fn add(&self, event: Event) {
        if let Some(events) = &self.events
            && events.try_send(event).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes the log.
#[derive(Debug)]
struct Writer {
    file: Option<PathBuf>,
    dropped: Arc<AtomicU64>,
    tally: Tally,
    /// Whether the last attempt to write failed, which is logged once.
    has_failed: bool,
}

impl Writer {
    fn run(mut self, events: &Receiver<Event>) {
        loop {
            let is_last = match events.recv_timeout(TICK) {
                Ok(event) => {
                    // What has gathered is written together.
                    let more = events.try_iter().take(MAX_WAITING);
                    self.write(std::iter::once(event).chain(more));
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let repeated = self.tally.over(Instant::now(), is_last);
            self.put(&repeated);
            if is_last {
                return;
            }
        }
    }

    fn write(&mut self, events: impl Iterator<Item = Event>) {
        let now = Instant::now();
        let is_new = |event: &Event| self.tally.is_new(event, now);
        let events: Vec<_> = events.filter(is_new).map(|event| (event, 0)).collect();
        self.put(&events);
    }

    fn put(&mut self, events: &[(Event, u64)]) {
        if events.is_empty() {
            return;
        }
        let Some(file) = &self.file else {
            return events.iter().for_each(log);
        };
        let mut dropped = self.dropped.swap(0, Ordering::Relaxed);
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

    #[test]
    fn actions_are_written_each_and_repeated_refusals_once_with_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.log");
        let mut writer = Writer {
            file: Some(file.clone()),
            dropped: Arc::new(AtomicU64::new(7)),
            tally: Tally::default(),
            has_failed: false,
        };
        let (sender, events) = sync_channel(16);
        for _ in 0..3 {
            sender.send(event(Outcome::Refused)).unwrap();
            sender.send(event(Outcome::Done)).unwrap();
        }
        writer.write(events.try_iter());
        drop(sender);
        writer.run(&events);
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
