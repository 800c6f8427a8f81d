//! A stream that is ready to start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::config::StreamConfig;
use super::handle::Stream;
use super::journal_receiver::JournalReceiver;
use super::journal_sender::JournalSender;
use super::leaders::{Documents, LeaderSigns, Leaders};
use super::orders::Orders;
use super::replication::Replication;
use super::reports::Reports;
use super::route::Route;
use super::tasks::StreamTasks;
use super::tenure_parts::TenureParts;
use super::tenures::Tenures;
use crate::meters::Meters;
use crate::peer::Secret;
use crate::plugin::{ControllerConfig, ControllerView, PluginController, PluginError, Report};
use crate::rejects::Rejects;
use crate::tls::PeerTls;
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{
    Ack, AckTrace, DeadLetterError, DeadLetters, Journal, JournalError, JournalLimits, QueueBudget,
    QueueShare, StreamTracer, Tail,
};
use sluice_leadership::{Controls, Order, Role};
use sluice_types::trace::Tracer;

/// Why a stream cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no sink that could run.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("create {}", .folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("open the stream; this is a defect, please report it")]
    Panicked(#[source] JoinError),
}

/// What a stream keeps on disk, and what counts and audits its records.
#[derive(Debug)]
pub(crate) struct StreamStore {
    config: StreamConfig,
    letters: DeadLetters,
    journal: Option<Journal>,
    metrics: Arc<StreamMetrics>,
    trace: Option<Arc<AckTrace>>,
}

/// A stream whose resources are open, but of which nothing runs yet.
#[derive(Debug)]
pub(crate) struct PreparedStream {
    store: StreamStore,
    controller: PluginController,
    /// What the plugin controller publishes.
    pub(crate) plugins: ControllerView,
    reports: mpsc::UnboundedSender<Report>,
}

/// What a stream uses of its node.
#[derive(Clone, Debug)]
pub(crate) struct NodeAccess {
    /// The node's name.
    pub(crate) node: String,
    /// What the control thread publishes.
    pub(crate) controls: Controls,
    /// What all nodes say of themselves.
    pub(crate) documents: Documents,
    /// To the control thread.
    pub(crate) orders: mpsc::Sender<Order>,
    /// The cluster's secret.
    pub(crate) secret: watch::Receiver<Option<Secret>>,
    /// Whether the nodes speak HTTPS.
    pub(crate) tls: PeerTls,
    /// The memory for what waits in all streams.
    pub(crate) queues: Arc<QueueBudget>,
    /// Makes spans, if this node makes any.
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
}

impl NodeAccess {
    /// Remembers who leads a stream.
    fn watch_leaders(&self, stream: &Stream) -> JoinHandle<()> {
        let signs = LeaderSigns {
            stream: stream.name.clone(),
            node: self.node.clone(),
            role: self.controls.role.clone(),
            documents: self.documents.clone(),
        };
        tokio::spawn(stream.leaders.clone().follow(signs))
    }

    /// Makes the spans of a stream.
    fn stream_tracer(&self, stream: &str) -> Option<StreamTracer> {
        let tracer = self.tracer.as_ref()?;
        Some(StreamTracer {
            tracer: Arc::clone(tracer),
            stream: stream.into(),
        })
    }
}

impl StreamStore {
    /// Opens what the stream keeps below `folder`.
    pub(crate) fn open(
        config: StreamConfig,
        folder: &Path,
        metrics: Arc<StreamMetrics>,
        trace: Option<Arc<AckTrace>>,
    ) -> Result<Self, StreamError> {
        let letters = DeadLetters::open(folder.join("dead-letters"), config.dead_letter_bytes)?;
        let journal = open_journal(&config, folder, &metrics, trace.as_ref())?;
        Ok(Self {
            config,
            letters,
            journal,
            metrics,
            trace,
        })
    }

    /// The stream's share of the memory for what waits, in which its journal counts too.
    fn share(&self, queues: &Arc<QueueBudget>) -> Arc<QueueShare> {
        let share = queues.share();
        if let Some(journal) = &self.journal {
            journal.count_in(&share);
        }
        share
    }

    /// Prepares the first sink.
    pub(crate) async fn prepare(
        self,
        plugins: ControllerConfig,
    ) -> Result<PreparedStream, StreamError> {
        let (reports, reported) = mpsc::unbounded_channel();
        let (controller, plugins) = PluginController::start(plugins, reported).await?;
        Ok(PreparedStream {
            store: self,
            controller,
            plugins,
            reports,
        })
    }
}

impl PreparedStream {
    /// Starts the stream's tasks.
    pub(crate) fn start(self, node: &NodeAccess) -> (Stream, StreamTasks) {
        let (route_in, route) = watch::channel(Route::Unknown);
        let (stop, stopping) = watch::channel(None);
        let (hand_over, requests) = watch::channel(None);
        let (stall_in, stall) = watch::channel(None);
        let tail = Tail::new();
        let journal_sender = self.journal_sender(node);
        let journal = self.store.journal.clone();
        let replication = Replication::of(&self.store.config);
        let stream = Stream {
            name: self.store.config.name.clone(),
            route: route.clone(),
            controls: node.controls.clone(),
            plugin: self.plugins.status.clone(),
            journal: journal.clone(),
            replicated: replication.as_ref().map(Replication::current),
            letters: self.store.letters.clone(),
            rejects: Rejects::new(Arc::clone(&self.store.metrics)),
            metrics: Arc::clone(&self.store.metrics),
            meters: Meters::new(Arc::clone(&self.store.metrics)),
            tail: tail.clone(),
            leaders: Leaders::default(),
            receiver: JournalReceiver::new(route, journal.clone()),
            stall,
            hand_over,
            drain: self.store.config.drain,
        };
        let orders = Orders::new(&self.store.config.name, node.orders.clone());
        let tracer = node.stream_tracer(&self.store.config.name);
        let parts = TenureParts {
            share: self.store.share(&node.queues),
            config: self.store.config,
            route: route_in,
            stop: stopping,
            hand_over: requests,
            choice: self.plugins.choice,
            reports: Reports::new(self.reports),
            orders,
            journal: self.store.journal,
            replication,
            letters: self.store.letters,
            metrics: self.store.metrics,
            trace: self.store.trace,
            tracer,
            tail,
            stall: stall_in,
            peers: node.controls.peers.clone(),
        };
        let tasks = StreamTasks {
            stream: stream.name.clone(),
            stop,
            tenures: lead(parts, node.controls.role.clone()),
            controller: tokio::spawn(self.controller.run(node.controls.peers.documents())),
            leaders: node.watch_leaders(&stream),
            journal_sender,
            journal,
            letters: stream.letters.clone(),
        };
        (stream, tasks)
    }

    fn journal_sender(&self, node: &NodeAccess) -> JoinSet<()> {
        let mut task = JoinSet::new();
        if let Some(journal) = &self.store.journal {
            let sender = JournalSender {
                stream: self.store.config.name.clone(),
                node: node.node.clone(),
                journal: journal.clone(),
                role: node.controls.role.clone(),
                secret: node.secret.clone(),
                addresses: node.controls.addresses.clone(),
                peers: node.controls.peers.clone(),
                tls: node.tls.clone(),
                metrics: Arc::clone(&self.store.metrics),
            };
            task.spawn(sender.run());
        }
        task
    }
}

/// Runs the tenures of a stream.
fn lead(parts: TenureParts, role: watch::Receiver<Role>) -> JoinSet<()> {
    let stream = parts.config.name.clone();
    let tenures = Tenures::new(parts, role).run();
    let mut task = JoinSet::new();
    task.spawn(async move {
        if let Err(error) = tenures.await {
            tracing::error!(stream, %error, "the delivery of the stream has ended");
        }
    });
    task
}

/// The journal, if acknowledgements need one or an earlier one may still hold
/// records.
fn open_journal(
    config: &StreamConfig,
    below: &Path,
    metrics: &Arc<StreamMetrics>,
    trace: Option<&Arc<AckTrace>>,
) -> Result<Option<Journal>, JournalError> {
    let folder = config.journal.folder(&config.name, below);
    let is_needed = config.ack == Ack::Journal && !config.journal.is_replicated();
    if !is_needed && !folder.exists() {
        return Ok(None);
    }
    let limits = JournalLimits {
        bytes: config.journal_bytes,
        pending: config.queue.bytes,
    };
    Journal::open(folder, limits, Arc::clone(metrics), trace.cloned()).map(Some)
}
