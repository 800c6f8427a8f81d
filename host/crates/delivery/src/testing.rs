//! What the tests of several files need.

use sluice_types::record::{LogRecord, Text};

/// So many small records.
pub(crate) fn records(count: usize) -> Vec<LogRecord> {
    let record = || LogRecord::with_body(Text::from_static("x"), 0);
    (0..count).map(|_| record()).collect()
}
