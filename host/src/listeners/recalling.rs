//! The ids that earlier leaders took.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::outlet::Outlet;
use crate::stream::Route;
use sluice_delivery::Recalled;

/// How long a tenure that is over may still be the one that takes records.
const END_LIMIT: Duration = Duration::from_secs(1);

impl Outlet {
    /// What earlier leaders took, if this node leads and the journal keeps that. It waits
    /// until this node knows it, or another one leads.
    pub(super) async fn recalled(&self) -> Option<Arc<Recalled>> {
        loop {
            let stream = self.stream()?;
            let mut route = stream.route.clone();
            let recall = match &*route.borrow_and_update() {
                Route::Local(intake) => intake.recall()?,
                Route::Leader(_) | Route::Unknown | Route::Stopping => return None,
            };
            tokio::select! {
                recalled = recall.recalled() => match recalled {
                    Ok(recalled) => return Some(recalled),
                    Err(_) => drop(timeout(END_LIMIT, route.changed()).await),
                },
                changed = route.changed() => if changed.is_err() {
                    return None;
                }
            }
        }
    }
}
