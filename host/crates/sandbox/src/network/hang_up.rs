//! Ends a connection on which a request cannot be ended by itself: over HTTP/2 a
//! body that the server takes nothing of stays where it is, whatever its answer was.

use std::sync::Arc;
use std::time::Duration;

use sluice_types::sink::BoxFuture;
use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;

/// How long the rest of a body may take once nobody wants the answer any more.
const REST_LIMIT: Duration = Duration::from_secs(5);

/// Ends one connection, with all its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct HangUp(Arc<Notify>);

impl HangUp {
    /// Waits until the connection is to end.
    pub(super) fn asked(&self) -> BoxFuture<'static, ()> {
        let notify = Arc::clone(&self.0);
        Box::pin(async move { notify.notified().await })
    }

    fn ask(&self) {
        self.0.notify_one();
    }
}

/// The answer's share of a request's place.
#[derive(Debug)]
pub(super) struct AnswerPlace {
    place: Option<Arc<OwnedSemaphorePermit>>,
    hang_up: Option<HangUp>,
}

impl AnswerPlace {
    /// `hang_up` ends the connection that the answer came on.
    pub(super) const fn new(place: Arc<OwnedSemaphorePermit>, hang_up: Option<HangUp>) -> Self {
        Self {
            place: Some(place),
            hang_up,
        }
    }
}

impl Drop for AnswerPlace {
    fn drop(&mut self) {
        let (Some(place), Some(hang_up)) = (self.place.take(), self.hang_up.take()) else {
            return;
        };
        let body = Arc::downgrade(&place);
        drop(place);
        if body.strong_count() > 0
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                tokio::time::sleep(REST_LIMIT).await;
                if body.strong_count() > 0 {
                    hang_up.ask();
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn a_body_that_outlives_its_answer_ends_the_connection() {
        let places = Arc::new(Semaphore::new(1));
        for outlives in [true, false] {
            let place = Arc::clone(&places).try_acquire_owned().unwrap();
            let body = Arc::new(place);
            let hang_up = HangUp::default();
            let asked = hang_up.asked();
            let answer = AnswerPlace::new(Arc::clone(&body), Some(hang_up));
            let body = outlives.then_some(body);
            drop(answer);
            let began = Instant::now();
            let is_asked = timeout(REST_LIMIT * 2, asked).await.is_ok();
            assert_eq!(is_asked, outlives);
            assert!(!outlives || began.elapsed() >= REST_LIMIT);
            drop(body);
            assert_eq!(places.available_permits(), 1);
        }
    }
}
