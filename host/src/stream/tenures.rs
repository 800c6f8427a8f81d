//! Starts and ends a stream's tenures as the node's role changes, and tells
//! the route who leads otherwise.

use std::sync::Arc;

use tokio::sync::watch;

use super::choice::is_news;
use super::route::Route;
use super::tenure::{Sinks, Tenure, TenureParts, stopped};
use crate::plugin::Choice;
use sluice_leadership::{Order, Role};
use sluice_types::lease::Lease;

/// Runs one tenure after the other.
#[derive(Debug)]
pub(super) struct Tenures {
    parts: TenureParts,
    /// What this node is to the cluster.
    role: watch::Receiver<Role>,
    /// The sinks that there were when this node last led.
    known: Choice,
    /// Whether the last tenure ended because no sink opened.
    no_sink_opened: bool,
}

impl Tenures {
    pub(super) fn new(parts: TenureParts, role: watch::Receiver<Role>) -> Self {
        let known = parts.choice.borrow().clone();
        Self {
            parts,
            role,
            known,
            no_sink_opened: false,
        }
    }

    /// Runs until the stream is told to stop and every request that was
    /// accepted has its outcome.
    pub(super) async fn run(mut self) {
        while !*self.parts.stop.borrow() {
            let role = self.role.borrow_and_update().clone();
            match role {
                Role::Leader(lease) => self.lead(lease).await,
                Role::Follower { leader } => {
                    let route = leader.map_or(Route::Unknown, Route::Leader);
                    self.parts.route.send_replace(route);
                    self.wait_for_change().await;
                }
            }
        }
        self.parts.route.send_replace(Route::Stopping);
    }

    async fn wait_for_change(&mut self) {
        let mut stop = self.parts.stop.clone();
        let mut choice = self.parts.choice.clone();
        tokio::select! {
            changed = self.role.changed() => if changed.is_err() {
                // The control thread has ended; the node ends with it.
                stopped(&mut stop).await;
            },
            // A node that stays out because of its sink may do better with another.
            () = is_news(&mut choice, &self.known, self.no_sink_opened) => {
                self.known = choice.borrow().clone();
                self.parts.orders.give(Order::Eligible(true)).await;
            }
            () = stopped(&mut stop) => {}
        }
    }

    async fn lead(&mut self, lease: Arc<Lease>) {
        match Tenure::begin(&self.parts, Arc::clone(&lease)).run().await {
            Sinks::Opened => self.no_sink_opened = false,
            Sinks::NoneOpened => self.no_sink_opened = true,
            Sinks::Unknown => {}
        }
        self.known = self.parts.choice.borrow().clone();
        if !*self.parts.stop.borrow() {
            lease.revoked().await;
            self.until_role_changed(&lease).await;
        }
    }

    /// Waits while the role still shows the tenure that has just ended.
    async fn until_role_changed(&mut self, ended: &Arc<Lease>) {
        let same = |role: &Role| matches!(role, Role::Leader(lease) if Arc::ptr_eq(lease, ended));
        let mut stop = self.parts.stop.clone();
        let changed = async {
            // The control thread has ended: the node ends with it.
            if self.role.wait_for(|role| !same(role)).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = changed => {}
            () = stopped(&mut stop) => {}
        }
    }
}
