//! The replacement of a tenure's sink by another one.

use tokio::sync::{mpsc, oneshot};

use crate::active_sink::ActiveSink;
use crate::watch::Watch;

/// An opened sink that is to replace the current one.
#[derive(Debug)]
pub struct SinkSwap {
    /// The new sink.
    pub sink: ActiveSink,
    /// What to watch the new sink for.
    pub watch: Watch,
    /// Gets the old sink as soon as nothing more is written to it.
    pub old: oneshot::Sender<ActiveSink>,
}

/// The swaps that arrive, and the one that waits for the write in progress.
#[derive(Debug)]
pub(crate) struct SwapQueue {
    arriving: mpsc::Receiver<SinkSwap>,
    waiting: Option<SinkSwap>,
}

impl SwapQueue {
    pub(crate) const fn new(arriving: mpsc::Receiver<SinkSwap>) -> Self {
        Self {
            arriving,
            waiting: None,
        }
    }

    /// Whether a swap waits.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Waits until a swap arrives, or none can arrive any more; true if one did.
    /// Can be cancelled.
    pub(crate) async fn next(&mut self) -> bool {
        match self.arriving.recv().await {
            Some(swap) => {
                self.waiting = Some(swap);
                true
            }
            None => false,
        }
    }

    /// Waits until a swap arrives, which waits from then on. Never ends if none
    /// can arrive any more. Can be cancelled.
    pub(crate) async fn arrived(&mut self) {
        if !self.next().await {
            std::future::pending().await
        }
    }

    /// The swap that waits, or one that has arrived meanwhile.
    pub(crate) fn take(&mut self) -> Option<SinkSwap> {
        let waiting = self.waiting.take();
        waiting.or_else(|| self.arriving.try_recv().ok())
    }
}
