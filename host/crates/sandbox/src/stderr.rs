//! A guest's stderr: each line goes to the node's log with the sink's name.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// A longer line, in bytes, is logged in pieces.
const MAX_LINE: usize = 8 * 1024;
/// How many bytes a guest may write at once.
const PERMIT: usize = 64 * 1024;

/// The stderr of one instance.
#[derive(Clone)]
pub(super) struct LoggedStderr(Arc<Mutex<Lines>>);

struct Lines {
    name: String,
    unfinished: Vec<u8>,
}

impl LoggedStderr {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            name: name.to_owned(),
            unfinished: Vec::new(),
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
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.unfinished.len() >= MAX_LINE {
                self.log();
            }
        }
    }

    fn log(&mut self) {
        let text = String::from_utf8_lossy(&self.unfinished);
        // Only control characters can do harm. Debug formatting would also escape quotes.
        let line: String = text
            .trim_end()
            .chars()
            .map(|c| {
                if c.is_control() && c != '\t' {
                    char::REPLACEMENT_CHARACTER
                } else {
                    c
                }
            })
            .collect();
        if !line.is_empty() {
            tracing::warn!(plugin = %self.name, "{line}");
        }
        self.unfinished.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.log();
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
