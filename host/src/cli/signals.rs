//! Waits for SIGTERM, SIGINT, and the terminal's SIGHUP.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this process to stop.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// Also waits for SIGHUP, unless it is ignored, as under nohup.
    pub(super) fn with_hangup(mut self) -> io::Result<Self> {
        if !is_hangup_ignored() {
            self.hangup = Some(signal(SignalKind::hangup())?);
        }
        Ok(self)
    }

    pub(super) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Waits for the first signal. A second one then ends the process at once,
/// with exit code 130.
pub(super) async fn until_signal() {
    let Ok(mut signals) = Signals::listen() else {
        tracing::error!("could not listen for signals");
        return std::future::pending().await;
    };
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        tracing::error!("stopping at once after a second signal");
        std::process::exit(130);
    });
}

/// Reads the kernel's mask of ignored signals, in which SIGHUP is the first bit.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
