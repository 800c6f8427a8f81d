//! Shows on a terminal how far an upload is.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use tokio::time::interval;

use crate::plugin::Sent;

const SHOW_INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Upload<'a> {
    sent: &'a Sent,
    /// In bytes.
    total: usize,
}

impl<'a> Upload<'a> {
    /// An upload of so many bytes.
    pub(super) const fn new(sent: &'a Sent, total: usize) -> Self {
        Self { sent, total }
    }

    /// Waits for the upload, and shows on stderr how far it is, if that is a
    /// terminal.
    pub(super) async fn shown<T>(&self, upload: impl Future<Output = T>) -> T {
        if !stderr().is_terminal() {
            return upload.await;
        }
        let mut upload = std::pin::pin!(upload);
        let mut ticks = interval(SHOW_INTERVAL);
        let done = loop {
            tokio::select! {
                done = &mut upload => break done,
                _ = ticks.tick() => self.show(),
            }
        };
        write("\r\u{1b}[K");
        done
    }

    fn show(&self) {
        let total = u64::try_from(self.total).unwrap_or(u64::MAX);
        let (sent, total) = (mib(self.sent.bytes()), mib(total));
        write(&format!("\rsending: {sent} of {total} MiB\u{1b}[K"));
    }
}

/// Mebibytes with one digit behind the point.
fn mib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn write(text: &str) {
    let mut terminal = stderr().lock();
    let written = terminal.write_all(text.as_bytes());
    // A terminal that is gone is nobody's loss.
    written.and_then(|()| terminal.flush()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_mebibytes() {
        assert_eq!(mib(0), "0.0");
        assert_eq!(mib((18 << 20) + (1 << 19)), "18.5");
    }
}
