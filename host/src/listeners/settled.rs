//! What becomes of records that a listener offers.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::peer::delivered::Refused;
use crate::stream::Route;
use sluice_delivery::metrics::{IngestMetrics, RecordsOutcome};

/// How long the answer of a node that leads no more is waited for.
const LATE_ANSWER: Duration = Duration::from_secs(2);

/// Counts records that were settled, and returns the places of those that are to be
/// offered again.
pub(super) fn counted(metrics: &IngestMetrics, total: usize, refused: &[Refused]) -> Vec<usize> {
    let left = not_kept(refused);
    let rejected = refused.len().saturating_sub(left.len());
    metrics.count(RecordsOutcome::Rejected, rejected);
    let accepted = total.saturating_sub(refused.len());
    metrics.count(RecordsOutcome::Accepted, accepted);
    left
}

/// Waits until another node leads, and then as long as the one before may need to
/// answer.
pub(super) async fn another_leads(route: &mut watch::Receiver<Route>) {
    // The sender being gone means the same.
    drop(route.changed().await);
    sleep(LATE_ANSWER).await;
}

/// The places of refused records that are not kept as dead letters.
fn not_kept(refused: &[Refused]) -> Vec<usize> {
    let lost = refused.iter().filter(|refused| !refused.is_kept);
    lost.map(|refused| refused.index).collect()
}
