//! Removing what is settled.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::log::LogError;
use super::writer::Writer;

/// Each removal holds up publishes, so it waits for this share of the limit.
const SHARE: u64 = 8;
/// The most bytes that wait to be removed while requests come.
const BYTES_MAX: u64 = 256 << 20;
/// The time between removals while the log is nearly full.
const FULL_INTERVAL: Duration = Duration::from_secs(1);
/// The time between removals while there is little to remove.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);

impl Writer {
    /// Whether something should be removed now.
    pub(super) fn is_removal_due(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.removal.tried);
        if self.stored_settled.before <= self.removal.below || since < FULL_INTERVAL {
            return false;
        }
        let limit = self.shared.limits.bytes;
        let used = self.shared.lock().used;
        let share = (limit / SHARE).min(BYTES_MAX);
        used.saturating_sub(self.removal.used) >= share
            || used >= limit - limit / SHARE
            || since >= IDLE_INTERVAL
    }

    /// Removes what a stored message says is settled. That is never the last
    /// message: a message can only say so of those before it.
    pub(super) async fn remove(&mut self) {
        let log = Arc::clone(&self.shared.log);
        let below = self.stored_settled.before.min(self.end);
        let now = Instant::now();
        self.removal.tried = now;
        // Ids are needed for longer.
        let removable = self.shared.lock().uncovered.removable(now);
        if removable < below {
            self.shared.ids_wanted.notify_one();
        }
        let below = below.min(removable);
        if below <= self.removal.below {
            return;
        }
        let removed = async {
            log.purge(below).await?;
            log.state().await
        };
        match self.acknowledging(removed).await {
            Ok(state) => {
                self.removal.below = below;
                self.removal.used = state.bytes;
                self.shared.lock().used = state.bytes;
            }
            Err(LogError(reason)) => {
                tracing::warn!(reason, "what is settled could not be removed from the log");
            }
        }
    }
}
