//! The log on stderr. A separate thread writes the lines, so that a stderr that
//! nobody reads does not block the node. Lines that do not fit are dropped and
//! counted.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use clap::ValueEnum;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for stderr.
const LINE_CAPACITY: usize = 4096;
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
pub(super) struct Log(SyncSender<Message>);

/// The thread that writes the log cannot be started.
#[derive(Debug, Error)]
#[error("start the log")]
pub(super) struct LogError(#[source] io::Error);

/// Installs the log for this process.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start(format: Option<LogFormat>) -> Result<Log, LogError> {
    let (sender, receiver) = sync_channel(LINE_CAPACITY);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&receiver))
        .map_err(LogError)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = io::stderr().is_terminal();
    let default = if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines(sender.clone()))
        .with_ansi(is_terminal)
        .with_target(false);
    match format.unwrap_or(default) {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(Log(sender))
}

fn write(receiver: &Receiver<Message>) {
    let mut stderr = io::stderr();
    while let Ok(message) = receiver.recv() {
        // An error of stderr cannot be reported anywhere.
        let _unreported =
            match message {
                Message::Line(line) => stderr.write_all(&line).and_then(|()| {
                    match DROPPED.swap(0, Ordering::Relaxed) {
                        0 => Ok(()),
                        dropped => writeln!(
                            stderr,
                            "{dropped} lines of this log were dropped: stderr is not read"
                        ),
                    }
                }),
                Message::Flush(done) => done.send(()).map_err(io::Error::other),
            };
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            // If stderr is blocked, the lines are lost.
            let _in_time = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Makes a writer per line.
struct Lines(SyncSender<Message>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone())
    }
}

/// Sends each write, which is a whole line, to the thread.
struct Line(SyncSender<Message>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.0.try_send(Message::Line(bytes.to_vec())) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
