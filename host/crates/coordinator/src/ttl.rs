//! Ends sessions that nobody renews.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::hub::Hub;
use super::store::SessionTtls;

#[derive(Debug)]
pub(super) struct Ttls {
    ttls: Mutex<SessionTtls>,
    /// Moments of `ttls` count from here.
    start: Instant,
    renewed: Notify,
}

impl Ttls {
    pub(super) fn new() -> Self {
        Self {
            ttls: Mutex::default(),
            start: Instant::now(),
            renewed: Notify::new(),
        }
    }

    pub(super) fn renew(&self, session: &str, ttl: Duration) {
        self.lock().renew(self.start.elapsed(), session, ttl);
        self.renewed.notify_one();
    }

    pub(super) fn forget(&self, session: &str) {
        self.lock().forget(session);
    }

    /// Ends sessions when their time is over. Never returns.
    pub(super) async fn run(&self, hub: &Hub) {
        loop {
            let next = self.lock().next();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(self.start + next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.renewed.notified() => {}
            }
            let due = self.lock().take_due(self.start.elapsed());
            for session in due {
                let ended = hub.write(|store, now| store.destroy_session(now, &session));
                match ended.await {
                    Ok(Ok(())) => tracing::debug!(session, "a session was not renewed in time"),
                    Ok(Err(error)) => tracing::debug!(session, %error, "could not end a session"),
                    Err(_) => return std::future::pending().await,
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, SessionTtls> {
        self.ttls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
