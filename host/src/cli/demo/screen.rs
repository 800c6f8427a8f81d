//! Prints the lines of all parts on stdout, each with its source in front.
//!
//! A separate thread writes, so that a paused terminal does not keep the demo
//! from handling signals. A part that prints more than fits waits.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender, WeakSender};
use tracing_subscriber::EnvFilter;

use crate::cli::color;

/// Lines that may wait for stdout.
const LINE_CAPACITY: usize = 1024;
/// How long the last lines may take to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// The width of the longest label.
const LABEL_WIDTH: usize = "coordinator".len();
/// The terminal colours of the nodes; they repeat.
const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];

/// The source of a line.
#[derive(Clone, Debug)]
pub(super) struct Label {
    text: String,
    /// An ANSI code; 0 means no colour.
    colour: u8,
    /// Whether its lines are less important.
    is_faint: bool,
}

/// Prints lines, and drops them once stdout is closed.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    lines: Sender<String>,
    is_coloured: bool,
}

/// The thread that writes.
pub(super) struct Writer(std::sync::mpsc::Receiver<()>);

impl Label {
    pub(super) fn demo() -> Self {
        Self::of("demo", 1, false)
    }

    pub(super) fn producer() -> Self {
        Self::of("producer", 0, false)
    }

    fn coordinator() -> Self {
        Self::of("coordinator", 0, true)
    }

    /// A node's own log.
    pub(super) fn log(node: &str, index: usize) -> Self {
        Self::of(node, colour(index), true)
    }

    /// The output of a node's sink.
    pub(super) fn sink(node: &str, index: usize) -> Self {
        Self::of(&format!("{node} sink"), colour(index), false)
    }

    fn of(text: &str, colour: u8, is_faint: bool) -> Self {
        Self {
            text: text.to_owned(),
            colour,
            is_faint,
        }
    }

    fn line(&self, text: &str, is_coloured: bool) -> String {
        let label = format!("{:<LABEL_WIDTH$}", self.text);
        if !is_coloured {
            return format!("{label} | {text}\n");
        }
        let colour = self.colour;
        let faint = if self.is_faint { 2 } else { 0 };
        format!("\u{1b}[{colour}m{label} |\u{1b}[0m \u{1b}[{faint}m{text}\u{1b}[0m\n")
    }
}

fn colour(index: usize) -> u8 {
    COLOURS
        .get(index % COLOURS.len())
        .copied()
        .unwrap_or_default()
}

impl Screen {
    /// Starts the thread that writes.
    pub(super) fn start() -> io::Result<(Self, Writer)> {
        let (lines, receiver) = mpsc::channel(LINE_CAPACITY);
        let (done, written) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                write(receiver);
                drop(done);
            })?;
        let screen = Self {
            lines,
            is_coloured: color::is_wanted(),
        };
        Ok((screen, Writer(written)))
    }

    /// Prints what this process logs, which is the coordinator's log.
    pub(super) fn take_log(&self) {
        let lines = self.lines.downgrade();
        let is_coloured = self.is_coloured;
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || LogLine(lines.clone(), is_coloured))
            .with_ansi(false)
            .with_target(false)
            .init();
    }

    pub(super) async fn say(&self, label: &Label, text: &str) {
        self.print(label.line(text, self.is_coloured)).await;
    }

    /// Prints text that people copy from the screen, without a label.
    pub(super) async fn print(&self, text: String) {
        // If stdout is closed, `closed` tells the demo.
        let _unread = self.lines.send(text).await;
    }

    /// Prints the line unless it would have to wait.
    pub(super) fn try_say(&self, label: &Label, text: &str) {
        let _too_much = self.lines.try_send(label.line(text, self.is_coloured));
    }

    /// Waits until writing to stdout fails.
    pub(super) async fn closed(&self) {
        self.lines.closed().await;
    }
}

impl Writer {
    /// Waits until everything is written, unless stdout is stuck. All
    /// [`Screen`]s must be gone.
    pub(super) fn finish(self) {
        let _stuck = self.0.recv_timeout(FLUSH_TIMEOUT);
    }
}

fn write(mut lines: Receiver<String>) {
    let mut stdout = io::stdout();
    while let Some(line) = lines.blocking_recv() {
        let written = stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush());
        if written.is_err() {
            return;
        }
    }
}

/// One line of the log. Weak, as the log lives as long as the process.
struct LogLine(WeakSender<String>, bool);

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(lines) = self.0.upgrade() {
            let text = String::from_utf8_lossy(bytes);
            // Logging must not block.
            let _too_much = lines.try_send(Label::coordinator().line(text.trim_end(), self.1));
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
    fn each_line_begins_with_its_source() {
        let (log, sink) = (Label::log("n1", 0), Label::sink("n1", 0));
        assert_eq!(log.line("listening", false), "n1          | listening\n");
        assert_eq!(sink.line("hi", false), "n1 sink     | hi\n");
        assert!(sink.line("hi", true).starts_with("\u{1b}[36mn1 sink"));
    }
}
