//! What all tenures of a stream work with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::config::StreamConfig;
use super::orders::Orders;
use super::replication::Replication;
use super::reports::Reports;
use super::route::Route;
use super::stop::Stop;
use crate::plugin::Choice;
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{AckTrace, DeadLetters, Journal, QueueShare, Stall, StreamTracer, Tail};
use sluice_leadership::{Peers, StepDown};

/// How long a node leaves the lock to others after no sink opened, its journal
/// failed, the destination fenced it, or there was no thread.
pub(super) const STAY_OUT: Duration = Duration::from_secs(30);
/// The same while no other node is eligible.
pub(super) const STAY_OUT_ALONE: Duration = Duration::from_secs(1);

/// What all tenures of a stream work with.
#[derive(Debug)]
pub(super) struct TenureParts {
    pub(super) config: StreamConfig,
    /// The memory for what waits.
    pub(super) share: Arc<QueueShare>,
    /// Where requests go.
    pub(super) route: watch::Sender<Route>,
    /// Why the stream should end, once it should.
    pub(super) stop: watch::Receiver<Option<Stop>>,
    /// Asks the tenure with the same epoch to hand over.
    pub(super) hand_over: watch::Receiver<Option<StepDown>>,
    /// The sinks that could run.
    pub(super) choice: watch::Receiver<Choice>,
    pub(super) reports: Reports,
    pub(super) orders: Orders,
    /// This node's own journal.
    pub(super) journal: Option<Journal>,
    pub(super) replication: Option<Replication>,
    pub(super) letters: DeadLetters,
    pub(super) metrics: Arc<StreamMetrics>,
    pub(super) trace: Option<Arc<AckTrace>>,
    /// Makes the spans of batches and writes.
    pub(super) tracer: Option<StreamTracer>,
    /// Shows what passes.
    pub(super) tail: Tail,
    /// What keeps the delivery from making progress.
    pub(super) stall: watch::Sender<Option<Stall>>,
    /// The other nodes.
    pub(super) peers: Peers,
}

impl TenureParts {
    /// What this node asks for when it cannot do its work as the leader under this epoch.
    pub(super) fn step_down(&self, epoch: u64) -> StepDown {
        let stay_out = match self.peers.is_any_eligible() {
            Some(true) => STAY_OUT,
            Some(false) | None => STAY_OUT_ALONE,
        };
        StepDown {
            epoch,
            stay_out,
            until_taken: false,
            to: None,
        }
    }
}
