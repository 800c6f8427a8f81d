//! The node's own log: lines to stderr, by a thread of their own, so that a
//! reader who does not read holds up nobody. What does not fit is dropped and
//! counted.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for stderr.
const WAITING: usize = 4096;
/// How long the end of the process waits for the last lines.
const LAST: Duration = Duration::from_millis(500);

/// Lines that were dropped since the last one that was written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

enum Message {
    Line(Vec<u8>),
    /// Answer once everything before it is written.
    Flush(SyncSender<()>),
}

/// Writes what is left when it is dropped.
pub(super) struct Log(SyncSender<Message>);

/// Starts the log.
pub(super) fn start(format: Option<LogFormat>) -> io::Result<Log> {
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || carry(&receiver))?;
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

fn carry(receiver: &Receiver<Message>) {
    let mut stderr = io::stderr();
    while let Ok(message) = receiver.recv() {
        // There is nobody to tell that stderr does not work.
        let _unheard =
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
            // If stderr is stuck, so be it.
            let _in_time = written.recv_timeout(LAST);
        }
    }
}

/// Makes the writer of one line.
struct Lines(SyncSender<Message>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone())
    }
}

/// Hands each write, which is a whole line, to the thread.
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
