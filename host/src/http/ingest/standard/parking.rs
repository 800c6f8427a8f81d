//! What a request of a standard protocol waits for before it is taken.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::flow::Flow;
use super::trouble::Trouble;
use crate::http::ingest::charge::Charge;
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
        let moment = (Instant::now() + 5 * ROOM_POLL).min(self.clock.parked_until);
        _ = timeout_at(moment, route.changed()).await;
        Ok(())
    }

    /// Slows a client down that has sent more than its quota, before the body of its
    /// request is read, of so many bytes.
    ///
    /// # Errors
    /// [`Problem::Quota`], when the request has been parked for long enough.
    pub(super) async fn let_in(&self, bytes: usize) -> Result<Charge, Problem> {
        loop {
            let wait = match Charge::begin(&self.client, bytes) {
                Ok(charge) => return Ok(charge),
                Err(wait) => wait,
            };
            if self.clock.left().0.is_zero() {
                return Err(Problem::Quota(wait));
            }
            let moment = (Instant::now() + wait).min(self.clock.parked_until);
            sleep_until(moment).await;
        }
    }

    /// The same for a request whose body of so many bytes was read: others have used up
    /// the quota meanwhile. Few requests of a client may wait like this.
    pub(super) async fn park_for_quota(
        &self,
        wait: Duration,
        bytes: usize,
        route: &mut watch::Receiver<Route>,
    ) -> Result<(), Trouble> {
        let quota = || Trouble::from(Problem::Quota(wait));
        // A node that relays requests parks them itself.
        let is_over = self.relay.is_none() || self.clock.left().0.is_zero();
        let client = self.client.as_ref().filter(|_| !is_over);
        let parked = client.and_then(|client| client.quota().park(bytes));
        let _parked = parked.ok_or_else(quota)?;
        let moment = (Instant::now() + wait).min(self.clock.parked_until);
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
