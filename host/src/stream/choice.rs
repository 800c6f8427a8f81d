//! Waits for changes of the sinks that could run.

use std::sync::Arc;

use tokio::sync::watch;

use crate::plugin::{Candidate, Choice};

/// Waits until another sink than this is wanted.
pub(super) async fn is_other(choice: &mut watch::Receiver<Choice>, wanted: &Arc<Candidate>) {
    until(choice, |now| !Arc::ptr_eq(&now.wanted, wanted)).await;
}

/// Waits for a wanted sink that is not in `before`. After a tenure in which no
/// sink opened, another last good sink counts too.
pub(super) async fn is_news(
    choice: &mut watch::Receiver<Choice>,
    before: &Choice,
    no_sink_opened: bool,
) {
    until(choice, |now| {
        let is_other_good = match (&now.good, &before.good) {
            (Some(now), Some(before)) => !Arc::ptr_eq(now, before),
            (now, _) => now.is_some(),
        };
        !Arc::ptr_eq(&now.wanted, &before.wanted) || no_sink_opened && is_other_good
    })
    .await;
}

async fn until(choice: &mut watch::Receiver<Choice>, is_met: impl Fn(&Choice) -> bool) {
    if choice.wait_for(is_met).await.is_err() {
        // The plugin controller has ended, so nothing changes any more.
        std::future::pending::<()>().await;
    }
}
