//! The requests that are under way on a connection with several at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::activity::Activity;

/// The requests of a connection, whose [`Activity`] is kept.
#[derive(Debug)]
pub(super) struct Calls {
    activity: Arc<Activity>,
    open: AtomicUsize,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct Call(Arc<Calls>);

impl Calls {
    /// Those of a connection that was accepted, and whose handshake is over. From
    /// now on it counts as idle.
    pub(super) fn new(activity: Arc<Activity>) -> Arc<Self> {
        activity.rest();
        Arc::new(Self {
            activity,
            open: AtomicUsize::new(0),
        })
    }

    /// A request begins; `None` if the connection must end instead.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Call> {
        if !self.activity.begin() {
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Call(Arc::clone(self)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // The task of the connection is the only one that begins and ends requests.
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.activity.rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::activity::{Phase, Rounds};

    #[test]
    fn a_connection_is_idle_while_none_of_its_requests_is_under_way() {
        let activity = Arc::new(Activity::new(&Arc::new(Rounds::default())));
        let phase = || activity.now().0;
        assert_eq!(phase(), Phase::Head);
        let calls = Calls::new(Arc::clone(&activity));
        assert_eq!(phase(), Phase::Idle);
        let (first, second) = (calls.begin().unwrap(), calls.begin().unwrap());
        drop(first);
        assert_eq!(phase(), Phase::Busy);
        drop(second);
        assert_eq!(phase(), Phase::Idle);
        assert!(activity.close(activity.now()));
        assert!(calls.begin().is_none());
        assert_eq!(phase(), Phase::Closed);
    }
}
