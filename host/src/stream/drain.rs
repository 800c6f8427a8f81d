//! When a drain is over although not everything was delivered.

use std::time::Duration;

use tokio::time::Instant;

use sluice_delivery::Ack;

/// How long the sink may confirm nothing before a drain ends, where all
/// acknowledged records are in the journal.
const STALL_LIMIT: Duration = Duration::from_secs(2);

/// Waits as long as accepted requests may take to finish: `limit` at most. What
/// is in the journal is safe without the sink, and the next leader should not
/// wait for a destination that is down. So with [`Ack::Journal`] the drain is
/// also over as soon as `delivered`, the number of records that the sink has
/// confirmed, has not changed for [`STALL_LIMIT`].
pub(super) async fn limit(ack: Ack, limit: Duration, delivered: impl Fn() -> u64) {
    let end = Instant::now() + limit;
    if ack == Ack::Sink {
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
