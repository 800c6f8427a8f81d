//! What sinks print to stderr, and what the sandbox says about them: both go to
//! the log of the process.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The most of the log that is kept, in bytes. What comes later is dropped.
const KEPT: usize = 4 << 20;

/// The log, kept in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    /// Keeps the log of this process from now on.
    pub(crate) fn start() -> Self {
        let printed = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::WARN)
            .with_writer(printed.clone())
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false)
            .init();
        printed
    }

    /// All that was logged so far.
    pub(super) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(kept.len()).min(bytes.len());
        kept.extend(bytes.iter().take(room));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Printed {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
