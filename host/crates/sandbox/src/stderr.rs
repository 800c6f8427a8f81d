//! A guest's stderr: each line goes to the node's log with the sink's name.
//! What comes faster than [`NODE_RATE`] allows is dropped, and a note says how
//! much.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use sluice_types::readable;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::refusals::{Refused, SinkRefusals};
use super::stderr_rate::{NODE_RATE, StderrRate};

/// A longer line, in bytes, is logged in pieces.
const MAX_LINE: usize = 8 * 1024;
/// How many bytes a guest may write at once.
const PERMIT: usize = 64 * 1024;

/// The stderr of one instance.
#[derive(Clone)]
pub(super) struct LoggedStderr(Arc<Mutex<Lines>>);

struct Lines {
    refusals: SinkRefusals,
    /// At most [`MAX_LINE`] bytes.
    unfinished: Vec<u8>,
    rate: &'static StderrRate,
    /// The bytes that were dropped since a line was logged.
    dropped: usize,
}

impl LoggedStderr {
    pub(super) fn new(refusals: SinkRefusals) -> Self {
        Self::with_rate(refusals, &NODE_RATE)
    }

    fn with_rate(refusals: SinkRefusals, rate: &'static StderrRate) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            refusals,
            unfinished: Vec::new(),
            rate,
            dropped: 0,
        })))
    }

    fn push(&self, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bytes);
    }
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = bytes.len().min(MAX_LINE - self.unfinished.len());
            let (within, _) = bytes.split_at(room);
            let end = within.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(end.map_or(room, |end| end + 1));
            self.unfinished.extend_from_slice(piece);
            bytes = rest;
            if end.is_some() || self.unfinished.len() >= MAX_LINE {
                self.log();
            }
        }
    }

    /// Logs the line, or drops it.
    fn log(&mut self) {
        let line = self.unfinished.trim_ascii_end();
        if line.is_empty() {
            self.unfinished.clear();
        } else if self.rate.admits(line.len(), Instant::now()) {
            let line = readable::line(&String::from_utf8_lossy(line), MAX_LINE);
            self.note_dropped();
            tracing::warn!(plugin = %self.refusals.plugin(), "{line}");
            self.unfinished.clear();
        } else {
            self.dropped = self.dropped.saturating_add(self.unfinished.len());
            self.unfinished.clear();
        }
    }

    fn note_dropped(&mut self) {
        let bytes = std::mem::take(&mut self.dropped);
        if bytes > 0 {
            self.refusals.count(Refused::Stderr);
            tracing::warn!(
                plugin = %self.refusals.plugin(),
                bytes,
                "dropped what the sink wrote to stderr too fast"
            );
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.log();
        self.note_dropped();
    }
}

impl IsTerminal for LoggedStderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LoggedStderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 uses this form, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LoggedStderr {
    async fn ready(&mut self) {}
}

impl OutputStream for LoggedStderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > PERMIT {
            return Err(StreamError::trap(
                "wrote more to stderr than it was permitted",
            ));
        }
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusals::Refusals;

    fn stderr() -> LoggedStderr {
        let refusals = Refusals::new(|_| ()).of("test");
        LoggedStderr::with_rate(refusals, Box::leak(Box::new(StderrRate::new())))
    }

    #[test]
    fn text_without_line_breaks_is_held_in_pieces() {
        let stderr = stderr();
        for _ in 0..100 {
            stderr.push(&[b'x'; PERMIT - 1]);
            let lines = stderr.0.lock().unwrap();
            assert!(lines.unfinished.len() < MAX_LINE);
            assert!(lines.unfinished.capacity() <= 2 * MAX_LINE);
        }
    }

    #[test]
    fn what_comes_too_fast_is_dropped_and_counted() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let logger = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Mutex::new(log.reopen().unwrap()))
            .finish();
        let _logging = tracing::subscriber::set_default(logger);
        let is_noted = |dropped: usize| {
            let text = std::fs::read_to_string(log.path()).unwrap();
            let count = format!("bytes={dropped}");
            text.lines()
                .any(|line| line.contains(" dropped ") && line.ends_with(&count))
        };
        let stderr = stderr();
        let before = Instant::now();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..10_000 {
            stderr.push(&line);
        }
        let dropped = stderr.0.lock().unwrap().dropped;
        let seconds = usize::try_from(before.elapsed().as_secs()).unwrap() + 1;
        let logged = 10_000 * line.len() - dropped;
        assert!(logged > 100 * line.len() && logged <= seconds * (256 << 10));
        std::thread::sleep(std::time::Duration::from_secs(1));
        stderr.push(b"the next line\n");
        assert_eq!(stderr.0.lock().unwrap().dropped, 0);
        assert!(is_noted(dropped), "{dropped}");
        for _ in 0..1000 {
            stderr.push(&line);
        }
        let dropped = stderr.0.lock().unwrap().dropped;
        assert!(dropped > 0 && !is_noted(dropped), "{dropped}");
        // At the latest when the instance ends.
        drop(stderr);
        assert!(is_noted(dropped), "{dropped}");
    }

    #[test]
    fn a_guest_that_writes_more_than_its_permit_traps() {
        let mut stderr = stderr();
        assert!(stderr.write(vec![b'x'; PERMIT].into()).is_ok());
        let beyond = stderr.write(vec![b'x'; PERMIT + 1].into());
        assert!(matches!(beyond, Err(StreamError::Trap(_))), "{beyond:?}");
    }
}
