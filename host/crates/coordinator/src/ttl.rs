//! Ends sessions that were not renewed: as Consul does, after twice their TTL.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::hub::Hub;

#[derive(Debug, Default)]
pub(super) struct Ttls {
    ends: Mutex<HashMap<String, Instant>>,
    sooner: Notify,
}

impl Ttls {
    /// Puts off the session's end.
    pub(super) fn renew(&self, session: &str, ttl: Duration) {
        let end = Instant::now() + ttl * 2;
        self.lock().insert(session.to_owned(), end);
        self.sooner.notify_one();
    }

    pub(super) fn forget(&self, session: &str) {
        self.lock().remove(session);
    }

    /// Ends sessions when their time has come, for ever.
    pub(super) async fn run(&self, hub: &Hub) {
        loop {
            let next = self.lock().values().min().copied();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.sooner.notified() => {}
            }
            for session in self.take_due() {
                let ended = hub.write(|store, now| store.destroy_session(now, &session));
                match ended.await {
                    Ok(Ok(())) => tracing::debug!(session, "a session was not renewed in time"),
                    Ok(Err(error)) => tracing::debug!(session, %error, "could not end a session"),
                    Err(_) => return std::future::pending().await,
                }
            }
        }
    }

    fn take_due(&self) -> Vec<String> {
        let now = Instant::now();
        let mut ends = self.lock();
        let due = ends.extract_if(|_, end| *end <= now);
        due.map(|(session, _)| session).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
