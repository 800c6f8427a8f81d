//! What a request of a standard protocol waits for before it is taken.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::flow::Flow;
use super::trouble::Trouble;
use crate::http::problem::Problem;
use crate::stream::Route;
use sluice_delivery::Intake;

/// How often a parked request looks for room.
const ROOM_POLL: Duration = Duration::from_millis(10);

impl Flow<'_> {
    /// Waits a moment for another route.
    pub(super) async fn park(
        &self,
        route: &mut watch::Receiver<Route>,
        why: String,
    ) -> Result<(), Trouble> {
        if self.clock.left().0.is_zero() {
            return Err(Problem::Unavailable(why).into());
        }
        // The same leader may take it a moment later.
        let moment = (tokio::time::Instant::now() + 5 * ROOM_POLL).min(self.clock.parked_until);
        _ = timeout_at(moment, route.changed()).await;
        Ok(())
    }

    /// How long until the client may send again, if it may not now.
    pub(super) fn quota_wait(&self) -> Option<Duration> {
        let wait = self.client.as_ref()?.quota().wait();
        (!wait.is_zero()).then_some(wait)
    }

    /// Slows a client down that has sent more than its quota.
    pub(super) async fn park_for_quota(
        &self,
        wait: Duration,
        route: &mut watch::Receiver<Route>,
    ) -> Result<(), Trouble> {
        if self.clock.left().0.is_zero() {
            return Err(Problem::Quota(wait).into());
        }
        let moment = (tokio::time::Instant::now() + wait).min(self.clock.parked_until);
        _ = timeout_at(moment, route.changed()).await;
        Ok(())
    }

    /// Waits until a request of this size finds room, or this node no longer
    /// leads.
    pub(super) async fn wait_for_room(
        &self,
        intake: &Intake,
        (records, bytes): (usize, usize),
        route: &mut watch::Receiver<Route>,
    ) -> Result<(), Trouble> {
        loop {
            if self.clock.left().0.is_zero() {
                return Err(Problem::Full.into());
            }
            let changed = tokio::time::timeout(ROOM_POLL, route.changed()).await;
            if changed.is_ok() || intake.has_room(records, bytes) {
                return Ok(());
            }
        }
    }
}
