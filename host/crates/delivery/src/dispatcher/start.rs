//! What may be written next, beside the writes that are under way.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Dispatcher;
use crate::batch::Batch;
use crate::queue::Queue;
use crate::retries::Retries;
use sluice_types::lease::Lease;

/// The time between the beginnings of small writes while others are under way,
/// so that single requests do not become a write each.
const SMALL_WRITE_INTERVAL: Duration = Duration::from_millis(1);

/// What can be written now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// What failed before.
    Again,
    /// What waits in the queue.
    Fresh,
    /// The queue is closed, and everything has its outcome.
    Drained,
}

/// What may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Any write.
    pub(super) for_any: bool,
    /// One of records that were not offered yet.
    pub(super) for_fresh: bool,
    /// Not before this time.
    pub(super) not_before: Option<Instant>,
    /// When the latest write that is under way began.
    pub(super) last_began: Option<Instant>,
    /// Nothing is under way, and nothing waits to be offered again or
    /// acknowledged.
    pub(super) is_empty: bool,
}

impl Dispatcher {
    /// Takes what has gathered in the queue.
    pub(super) fn take_batch(&self) -> Batch {
        let mut batch = self.queue.take();
        if let Some(tracer) = &self.tracer {
            let (epoch, records) = (self.lease.epoch(), batch.records.len());
            batch.span = tracer.begin(epoch, records, &batch.completions);
        }
        batch
    }
}

/// Waits until something can be written, there is room for it and the lease is
/// valid. Can be cancelled.
pub(super) async fn next(queue: &Queue, lease: &Lease, retries: &Retries, room: Room) -> Next {
    // The end comes without a pause.
    if room.is_empty && !queue.filled().await {
        return Next::Drained;
    }
    if !room.for_any {
        return std::future::pending().await;
    }
    until(room.not_before).await;
    let next = if retries.prefers_fresh() {
        tokio::select! {
            biased;
            next = fresh(queue, room) => next,
            () = due(retries) => Next::Again,
        }
    } else {
        tokio::select! {
            biased;
            () = due(retries) => Next::Again,
            next = fresh(queue, room) => next,
        }
    };
    if lease.valid().await.is_none() {
        // What waits for the revocation hears of it.
        return std::future::pending().await;
    }
    next
}

/// Waits until something waits in the queue, and for what joins it.
async fn fresh(queue: &Queue, room: Room) -> Next {
    if !room.for_fresh {
        return std::future::pending().await;
    }
    if !queue.filled().await {
        if room.is_empty {
            return Next::Drained;
        }
        return std::future::pending().await;
    }
    if queue.is_small() {
        until(room.last_began.map(|began| began + SMALL_WRITE_INTERVAL)).await;
    }
    queue.gather().await;
    Next::Fresh
}

async fn due(retries: &Retries) {
    match retries.due() {
        Some(due) => until(Some(due)).await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    if let Some(time) = time.filter(|time| *time > Instant::now()) {
        sleep_until(time).await;
    }
}
