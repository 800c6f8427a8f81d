//! Large answers take turns: each costs time on the one thread that also keeps
//! sessions, and memory until its client has read it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers above this length, in bytes, need a permit.
pub(super) const LARGE: usize = 64 * 1024;

/// The time that a client has to read an answer, whatever its length.
const BASE_TIME: Duration = Duration::from_secs(2);
/// The bytes that a client has to read per second beyond that.
const LOWEST_RATE: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct LargeAnswers(Arc<Semaphore>);

/// The permit for one large answer; empty for a small one.
#[derive(Debug, Default)]
pub(super) struct LargePermit {
    permit: Option<OwnedSemaphorePermit>,
    /// Of the answer, in bytes.
    length: usize,
}

impl LargeAnswers {
    /// How many large answers are read from the store and sent at once.
    pub(super) const CONCURRENT: usize = 4;

    /// Waits for an answer's turn.
    pub(super) async fn permit(&self) -> LargePermit {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        LargePermit {
            // It fails only for a closed semaphore, and this one is never closed.
            permit: permit.ok(),
            length: 0,
        }
    }
}

impl Default for LargeAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::CONCURRENT)))
    }
}

impl LargePermit {
    pub(super) const fn is_held(&self) -> bool {
        self.permit.is_some()
    }

    /// Says about how many bytes the answer will have.
    pub(super) const fn set_length(&mut self, length: usize) {
        self.length = length;
    }

    /// The time that the client has to read the answer; `None` for a small one.
    pub(super) fn time(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.length / LOWEST_RATE).unwrap_or(u64::MAX);
        let time = BASE_TIME.saturating_add(Duration::from_secs(seconds));
        self.is_held().then_some(time)
    }
}
