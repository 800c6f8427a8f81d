//! What a dispatcher works with, and how it can end.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::active_sink::ActiveSink;
use crate::batch_span::StreamTracer;
use crate::dead_letters::DeadLetters;
use crate::metrics::StreamMetrics;
use crate::queue::Queue;
use crate::sink_swap::SinkSwap;
use crate::stall::Stall;
use crate::tail::Tail;
use crate::trace::AckTrace;
use crate::watch::Watch;
use sluice_types::lease::Lease;

/// Why a dispatcher has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The queue was closed and every request has its outcome.
    Drained,
    /// The lease was revoked.
    Revoked,
    /// The destination knows a later leader.
    Fenced(String),
}

/// What a dispatcher works with.
#[derive(Debug)]
pub struct Delivery {
    /// The requests of the tenure.
    pub queue: Arc<Queue>,
    /// Until when this node may write and acknowledge.
    pub lease: Arc<Lease>,
    /// The sink that takes the records first.
    pub sink: ActiveSink,
    /// What to watch that sink for.
    pub watch: Watch,
    /// The sinks that replace it.
    pub swaps: mpsc::Receiver<SinkSwap>,
    /// Keeps records that no sink accepts.
    pub letters: DeadLetters,
    /// Counts what happens.
    pub metrics: Arc<StreamMetrics>,
    /// Where acknowledgements are traced, if anywhere.
    pub trace: Option<Arc<AckTrace>>,
    /// Makes the spans of batches and writes, if this node makes any.
    pub tracer: Option<StreamTracer>,
    /// Shows what passes to those that watch.
    pub tail: Tail,
    /// Gets what keeps the delivery from making progress, while it makes none.
    pub stall: watch::Sender<Option<Stall>>,
}
