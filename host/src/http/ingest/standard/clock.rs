//! How long a request of a standard protocol may take.

use std::time::Duration;

use tokio::time::Instant;

/// The most time from the head of a request to its answer, on all nodes
/// together. The shortest time that common clients wait is 10 s (OpenTelemetry's
/// exporters, promtail).
const ANSWER_LIMIT: Duration = Duration::from_secs(9);

/// When a request must be taken in, and when it must be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Until then it may wait for a leader, or for room.
    pub(super) parked_until: Instant,
    pub(super) end: Instant,
    /// When the head of the request was received.
    pub(super) begun: Instant,
}

impl Clock {
    /// For a request that arrives now.
    pub(super) fn start(park: Duration, limit: Duration) -> Self {
        let now = Instant::now();
        let limit = limit.min(ANSWER_LIMIT);
        Self {
            parked_until: now + park.min(limit),
            end: now + limit,
            begun: now,
        }
    }

    /// How long it may still be parked, and how long it may still take.
    pub(super) fn left(&self) -> (Duration, Duration) {
        let now = Instant::now();
        let left = |until: Instant| until.saturating_duration_since(now);
        (left(self.parked_until), left(self.end))
    }
}
