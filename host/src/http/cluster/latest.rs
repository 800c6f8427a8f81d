//! The answer that was made last, for all that ask at about the same time.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// An answer, and when it was made.
#[derive(Debug)]
pub(super) struct Latest<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Latest<T> {
    /// The answer if it is younger than this, otherwise one that is made now. Those
    /// that ask meanwhile wait for that one.
    pub(super) async fn or_make(&self, fresh: Duration, making: impl Future<Output = T>) -> T {
        let mut latest = self.0.lock().await;
        if let Some((made, answer)) = &*latest
            && made.elapsed() < fresh
        {
            return answer.clone();
        }
        let answer = making.await;
        *latest = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_until_it_is_too_old() {
        let latest = Latest::default();
        let (fresh, old) = (Duration::from_millis(400), Duration::from_millis(401));
        assert_eq!(latest.or_make(fresh, ready(1)).await, 1);
        assert_eq!(latest.or_make(fresh, ready(2)).await, 1);
        tokio::time::advance(old).await;
        assert_eq!(latest.or_make(fresh, ready(2)).await, 2);
    }
}
