//! What the rest of a node knows of a stream.

use std::time::Duration;

use tokio::sync::watch;

use super::hand_over::hand_over;
use super::journal_receiver::JournalReceiver;
use super::leaders::Leaders;
use super::replication::CurrentReplicated;
use super::route::Route;
use crate::meters::Meters;
use crate::peer::wire::StepDownAnswer;
use crate::rejects::Rejects;
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{DeadLetters, Intake, Journal, Stall, Tail};
use sluice_leadership::{Controls, StepDown};
use sluice_types::plugin::PluginStatus;
use std::sync::Arc;

/// A stream as HTTP routes and other surfaces see it.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The stream's name.
    pub(crate) name: String,
    /// Where requests go.
    pub(crate) route: watch::Receiver<Route>,
    /// This node's role for the stream.
    pub(crate) controls: Controls,
    /// Which sink runs.
    pub(crate) plugin: watch::Receiver<PluginStatus>,
    /// This node's own journal, if there is one.
    pub(crate) journal: Option<Journal>,
    /// The replicated journal of the latest tenure here, if the journal is
    /// replicated.
    pub(super) replicated: Option<CurrentReplicated>,
    /// This node's dead letters.
    pub(crate) letters: DeadLetters,
    /// What this node's decoders rejected lately.
    pub(crate) rejects: Rejects,
    pub(crate) metrics: Arc<StreamMetrics>,
    /// Counts what clients send, by protocol.
    pub(crate) meters: Meters,
    /// Shows records as they pass while this node leads.
    pub(crate) tail: Tail,
    /// Who led it.
    pub(crate) leaders: Leaders,
    /// Takes the records of other nodes' journals.
    pub(crate) receiver: JournalReceiver,
    /// What the tenure's dispatcher says of attempts that fail.
    pub(super) stall: watch::Receiver<Option<Stall>>,
    pub(super) hand_over: watch::Sender<Option<StepDown>>,
    /// How long accepted requests may take to finish when a tenure ends.
    pub(super) drain: Duration,
}

/// A hand-over that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandOver {
    /// The epoch of the tenure that ends.
    pub(crate) epoch: u64,
    /// How long accepted requests may take to finish.
    pub(crate) drain: Duration,
}

impl From<HandOver> for StepDownAnswer {
    fn from(begun: HandOver) -> Self {
        Self {
            epoch: begun.epoch,
            drain_ms: u64::try_from(begun.drain.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Stream {
    /// Asks this node's tenure to hand over, to the node `to` if one is named, and does
    /// not wait for it. `epoch` is the highest that was known when somebody wanted it: a
    /// tenure that began later goes on. `None` if this node does not lead, or leads under
    /// a later epoch.
    pub(crate) fn hand_over(&self, epoch: u64, to: Option<String>) -> Option<HandOver> {
        let epoch = match &*self.route.borrow() {
            Route::Local(intake) if intake.epoch() <= epoch => intake.epoch(),
            _ => return None,
        };
        tracing::info!(stream = self.name, epoch, to, "asked to hand over");
        self.hand_over.send_replace(Some(hand_over(epoch, to)));
        Some(HandOver {
            epoch,
            drain: self.drain,
        })
    }

    /// Records and bytes that wait for the sink or are being offered to it.
    pub(crate) fn depth(&self) -> (usize, usize) {
        match &*self.route.borrow() {
            Route::Local(intake) => intake.depth(),
            _ => (0, 0),
        }
    }

    /// What keeps the records that wait here from being delivered, if no attempt
    /// succeeds.
    pub(crate) fn stall(&self) -> Option<Stall> {
        let (records, _) = self.depth();
        self.stall.borrow().clone().filter(|_| records > 0)
    }

    /// Whether requests here wait for the sink, and not only for the journal.
    pub(crate) fn waits_for_sink(&self) -> bool {
        matches!(&*self.route.borrow(), Route::Local(intake) if matches!(**intake, Intake::Sink(_)))
    }

    /// Whether the stream is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(*self.route.borrow(), Route::Stopping)
    }
}
