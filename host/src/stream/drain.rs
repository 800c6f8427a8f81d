//! When a drain is over although not everything was delivered.

use std::time::Duration;

use tokio::time::Instant;

/// What becomes of records that are not delivered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are in a journal, from which they are delivered later.
    IsSafe,
    /// Nobody delivers them, unless their producers send them again.
    IsLost,
}

/// How long the sink may confirm nothing before a drain ends whose rest is safe.
const STALL_LIMIT: Duration = Duration::from_secs(2);

/// Waits as long as accepted requests may take to finish: `limit` at most. The next leader
/// should not wait for a destination that is down. So with [`Rest::IsSafe`] the drain is
/// also over as soon as `delivered`, the number of records that the sink has
/// confirmed, has not changed for [`STALL_LIMIT`].
pub(super) async fn limit(rest: Rest, limit: Duration, delivered: impl Fn() -> u64) {
    let end = Instant::now() + limit;
    if rest == Rest::IsLost {
        return tokio::time::sleep_until(end).await;
    }
    let mut last = delivered();
    loop {
        tokio::time::sleep_until((Instant::now() + STALL_LIMIT).min(end)).await;
        let before = std::mem::replace(&mut last, delivered());
        if last == before || Instant::now() >= end {
            return;
        }
    }
}
