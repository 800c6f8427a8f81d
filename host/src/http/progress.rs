//! How long a request over HTTP/2 may take: so long in all, or, if its answer is a stream
//! of events that ends only with its client, between two of its parts.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

tokio::task_local! {
    /// Of the request that is being answered.
    static PROGRESS: Arc<Progress>;
}

#[derive(Debug, Default)]
struct Progress {
    is_stream: AtomicBool,
    /// How many parts of the answer the connection has taken.
    parts: AtomicU64,
}

/// Answers a request. False if it took too long, or the client takes nothing.
pub(super) async fn limited(answering: impl Future<Output = ()>, limit: Duration) -> bool {
    let progress = Arc::<Progress>::default();
    let mut answering = pin!(PROGRESS.scope(Arc::clone(&progress), answering));
    loop {
        let before = progress.parts.load(Ordering::Relaxed);
        if timeout(limit, answering.as_mut()).await.is_ok() {
            return true;
        }
        let goes_on = progress.is_stream.load(Ordering::Relaxed)
            && progress.parts.load(Ordering::Relaxed) != before;
        if !goes_on {
            return false;
        }
    }
}

/// The answer to the request is a stream of events.
pub(super) fn is_stream() {
    of_request(|progress| progress.is_stream.store(true, Ordering::Relaxed));
}

/// The connection has taken a part of the answer.
pub(super) fn part() {
    of_request(|progress| _ = progress.parts.fetch_add(1, Ordering::Relaxed));
}

/// Nothing counts outside of [`limited`], which is for HTTP/2.
fn of_request(note: impl FnOnce(&Progress)) {
    _ = PROGRESS.try_with(|progress| note(progress));
}
