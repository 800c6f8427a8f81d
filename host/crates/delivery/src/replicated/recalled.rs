//! The ids that requests had under earlier leaders.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::id_log::RequestId;

/// What a leader knows of the requests that earlier ones took.
#[derive(Debug)]
pub struct Recalled {
    key: [u8; 16],
    ids: Mutex<Vec<(RequestId, Instant)>>,
}

/// `None` until the ids are read; then these, or why they will not be.
pub(super) type Recalling = Option<Result<Arc<Recalled>, &'static str>>;

/// Waits for what earlier leaders took.
#[derive(Debug)]
pub struct Recall(pub(super) watch::Receiver<Recalling>);

impl Recalled {
    /// Holds ids that were made with this secret, with the time at which each was stored.
    #[must_use]
    pub const fn new(key: [u8; 16], ids: Vec<(RequestId, Instant)>) -> Self {
        let ids = Mutex::new(ids);
        Self { key, ids }
    }

    /// The secret that ids are made with.
    #[must_use]
    pub const fn key(&self) -> [u8; 16] {
        self.key
    }

    /// Hands out the ids and their times, once.
    #[must_use]
    pub fn take(&self) -> Vec<(RequestId, Instant)> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut ids)
    }
}

impl Recall {
    /// Waits until it is known.
    ///
    /// # Errors
    /// The tenure is over before that.
    pub async fn recalled(mut self) -> Result<Arc<Recalled>, &'static str> {
        let known = self.0.wait_for(Option::is_some).await;
        let known = known.ok().and_then(|known| known.clone());
        known.unwrap_or(Err("the node is no longer the leader"))
    }
}
