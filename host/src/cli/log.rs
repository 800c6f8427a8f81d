//! The log on stderr. A separate thread writes the lines, so that a stderr that
//! nobody reads does not block the node. Lines that do not fit, by their number
//! or by their bytes, are dropped and counted.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::diagnostics::RecentLog;
use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for stderr.
const LINE_CAPACITY: usize = 4096;
/// Bytes that may wait for stderr.
const BYTE_CAPACITY: usize = 4 << 20;
/// What is logged unless `RUST_LOG` says otherwise. The servers of sinks decide how
/// often the libraries for HTTP have something to say.
const FILTER: &str = "info,async_nats=warn,h2=error,hyper_util=error,wasmtime_wasi_http=error";
/// How long the last lines may take to be written when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Lines dropped since the last line was written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

enum Message {
    Line(Vec<u8>),
    /// Answered once all earlier lines are written.
    Flush(SyncSender<()>),
}

/// Writes the remaining lines when it is dropped.
pub(super) struct Log {
    sender: SyncSender<Message>,
    recent: RecentLog,
}

/// The thread that writes the log cannot be started.
#[derive(Debug, Error)]
#[error("start the log")]
pub(super) struct LogError(#[source] io::Error);

/// Installs the log for this process.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start(format: Option<LogFormat>) -> Result<Log, LogError> {
    let (lines, receiver) = Lines::new();
    let (sender, waiting) = (lines.sender.clone(), Arc::clone(&lines.waiting));
    let recent = lines.recent.clone();
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&receiver, &waiting))
        .map_err(LogError)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let is_terminal = io::stderr().is_terminal();
    let default = if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines)
        .with_ansi(is_terminal)
        .with_target(false);
    match format.unwrap_or(default) {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(Log { sender, recent })
}

fn write(receiver: &Receiver<Message>, waiting: &AtomicUsize) {
    let mut stderr = io::stderr();
    while let Ok(message) = receiver.recv() {
        // An error of stderr cannot be reported anywhere.
        let _unreported = match message {
            Message::Line(line) => {
                let written = write_line(&mut stderr, &line);
                waiting.fetch_sub(line.len(), Ordering::Relaxed);
                written
            }
            Message::Flush(done) => done.send(()).map_err(io::Error::other),
        };
    }
}

fn write_line(stderr: &mut io::Stderr, line: &[u8]) -> io::Result<()> {
    stderr.write_all(line)?;
    match DROPPED.swap(0, Ordering::Relaxed) {
        0 => Ok(()),
        dropped => writeln!(
            stderr,
            "{dropped} lines of this log were dropped: stderr is not read"
        ),
    }
}

impl Log {
    /// The last lines, also those that stderr did not take.
    pub(super) fn recent(&self) -> RecentLog {
        self.recent.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            // If stderr is blocked, the lines are lost.
            let _in_time = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Makes a writer per line.
struct Lines {
    sender: SyncSender<Message>,
    /// The bytes of the lines that wait.
    waiting: Arc<AtomicUsize>,
    recent: RecentLog,
}

impl Lines {
    fn new() -> (Self, Receiver<Message>) {
        let (sender, receiver) = sync_channel(LINE_CAPACITY);
        let lines = Self {
            sender,
            waiting: Arc::default(),
            recent: RecentLog::default(),
        };
        (lines, receiver)
    }

    /// Puts a line in the queue; returns whether there is room.
    fn send(&self, line: &[u8]) -> bool {
        let bytes = line.len();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before.saturating_add(bytes) <= BYTE_CAPACITY;
        let is_sent = has_room && self.sender.try_send(Message::Line(line.to_vec())).is_ok();
        if !is_sent {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_sent
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Sends each write, which is a whole line, to the thread.
struct Line<'a>(&'a Lines);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.recent.push(bytes);
        if !self.0.send(bytes) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_stderr_is_bounded_in_lines_and_bytes() {
        for bytes in [1, 64, 8 << 10, 1 << 20, BYTE_CAPACITY, BYTE_CAPACITY + 1] {
            let (lines, waiting) = Lines::new();
            let line = vec![b'x'; bytes];
            let sent = (0..LINE_CAPACITY * 2).filter(|_| lines.send(&line)).count();
            assert_eq!(sent, LINE_CAPACITY.min(BYTE_CAPACITY / bytes));
            assert_eq!(lines.waiting.load(Ordering::Relaxed), sent * bytes);
            assert_eq!(waiting.try_iter().count(), sent);
        }
    }
}
