//! A stream's tenures without a cluster, for tests under paused time.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::config::StreamConfig;
use super::fakes::{FakeSink, Log};
use super::journal_place::JournalPlace;
use super::orders::Orders;
use super::reports::Reports;
use super::route::Route;
use super::stop::Stop;
use super::tenure::{Sinks, Tenure};
use super::tenure_parts::TenureParts;
use crate::once::Remembered;
use crate::plugin::{Candidate, Choice, Report, WatchFor};
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{
    Ack, DeadLetters, Journal, JournalLimits, Outcome, Producer, QueueBudget, QueueLimits, Receipt,
    Refused, Tail,
};
use sluice_leadership::{Order, Peers, StepDown, StreamOrder};
use sluice_types::clock::BootTime;
use sluice_types::documents::NodeDocument;
use sluice_types::lease::Lease;
use sluice_types::record::{LogRecord, Text};
use sluice_types::stream::DEFAULT_STREAM;

/// The epoch of a test's tenure.
pub(super) const EPOCH: u64 = 7;
/// The drain timeout of a test's stream.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// What a tenure works with, and the other ends of its channels.
pub(super) struct Rig {
    pub(super) parts: TenureParts,
    pub(super) lease: Arc<Lease>,
    pub(super) choice: watch::Sender<Choice>,
    pub(super) stop: watch::Sender<Option<Stop>>,
    pub(super) hand_over: watch::Sender<Option<StepDown>>,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) route: watch::Receiver<Route>,
    pub(super) nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
    pub(super) log: Log,
    pub(super) folder: TempDir,
}

impl Rig {
    /// A stream that wants the sink that `wanted` makes.
    pub(super) fn new(wanted: impl FnOnce(FakeSink) -> FakeSink) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::default();
        let wanted = wanted(FakeSink::new("a", &log)).candidate();
        let (choice, choices) = watch::channel(Choice {
            wanted,
            watch: WatchFor::Nothing,
            good: None,
            last_resort: None,
        });
        let (stop, stopping) = watch::channel(None);
        let (hand_over, requests) = watch::channel(None);
        let (reports_in, reports) = mpsc::unbounded_channel();
        let (orders_in, orders) = mpsc::channel(16);
        let (route_in, route) = watch::channel(Route::Unknown);
        let (nodes, all) = watch::channel(None);
        let own = watch::channel(node("own", true)).1;
        let letters = folder.path().join("dead-letters");
        let parts = TenureParts {
            config: config(),
            share: QueueBudget::new(1 << 20, 1).share(),
            route: route_in,
            stop: stopping,
            hand_over: requests,
            choice: choices,
            reports: Reports::new(reports_in),
            orders: Orders::new(DEFAULT_STREAM, orders_in),
            journal: None,
            replication: None,
            letters: DeadLetters::open(letters, 1 << 20).unwrap(),
            metrics: Metrics::new().stream("default"),
            trace: None,
            tracer: None,
            tail: Tail::new(),
            stall: watch::channel(None).0,
            peers: Peers::new("own".to_owned(), own, all),
        };
        let end = BootTime::now() + Duration::from_secs(3600);
        Self {
            parts,
            lease: Arc::new(Lease::new(EPOCH, BootTime::default(), end)),
            choice,
            stop,
            hand_over,
            reports,
            orders,
            route,
            nodes,
            log,
            folder,
        }
    }

    /// Acknowledges from a journal.
    pub(super) fn with_journal(mut self) -> Self {
        self.parts.config.ack = Ack::Journal;
        self.parts.journal = Some(self.open_journal());
        self
    }

    /// Acknowledges from a journal that cannot be written: a folder is in the
    /// way of its next segment.
    pub(super) fn with_failing_journal(mut self) -> Self {
        drop(self.open_journal());
        let folder = self.folder.path().join("journal");
        let entries = std::fs::read_dir(&folder).unwrap();
        let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        for file in files {
            std::fs::create_dir(file.with_extension("new")).unwrap();
        }
        self = self.with_journal();
        let journal = self.parts.journal.as_ref().unwrap();
        assert!(journal.status().failure.is_some(), "it can be written");
        self
    }

    fn open_journal(&self) -> Journal {
        let limits = JournalLimits {
            bytes: 8 << 20,
            pending: 1 << 20,
        };
        let folder = self.folder.path().join("journal");
        Journal::open(folder, limits, Arc::clone(&self.parts.metrics), None).unwrap()
    }

    /// Makes a sink known as the last good one.
    pub(super) fn with_good(self, good: impl FnOnce(FakeSink) -> FakeSink) -> Self {
        let good = self.sink("good", good);
        self.choice.send_modify(|choice| choice.good = Some(good));
        self
    }

    /// Adds another live node, whose sink is prepared or not.
    pub(super) fn with_peer(self, eligible: bool) -> Self {
        let peers = vec![node("peer", eligible)];
        self.nodes.send_replace(Some(Arc::new(peers)));
        self
    }

    pub(super) fn sink(
        &self,
        name: &str,
        sink: impl FnOnce(FakeSink) -> FakeSink,
    ) -> Arc<Candidate> {
        sink(FakeSink::new(name, &self.log)).candidate()
    }

    /// Asks for another sink.
    pub(super) fn want(&self, wanted: &Arc<Candidate>) {
        let wanted = Arc::clone(wanted);
        self.choice.send_modify(|choice| choice.wanted = wanted);
    }

    /// Runs a tenure to its end while a test goes on. Returns how it ended, and
    /// how long it took.
    pub(super) async fn run(&self, test: impl Future<Output = ()>) -> (Sinks, Duration) {
        let started = Instant::now();
        let tenure = Tenure::begin(&self.parts, Arc::clone(&self.lease));
        let limit = Duration::from_secs(3600);
        let tenure = async {
            let sinks = tokio::time::timeout(limit, tenure.run()).await;
            (sinks.expect("the tenure ends"), started.elapsed())
        };
        let (ended, ()) = tokio::join!(tenure, test);
        ended
    }

    /// Sends one message.
    pub(super) fn submit(&self, body: &'static str) -> Result<Receipt, Refused> {
        let Route::Local(intake) = self.route.borrow().clone() else {
            panic!("no tenure");
        };
        intake.submit(
            Producer::IsTold,
            None,
            vec![LogRecord::with_body(Text::from_static(body), 0)],
        )
    }

    /// Stops the stream.
    pub(super) fn stop(&self) {
        self.stop.send_replace(Some(Stop::Node));
    }

    /// What the sinks have done.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The orders that the control thread got.
    pub(super) fn orders(&mut self) -> Vec<StreamOrder> {
        let orders = std::iter::from_fn(|| self.orders.try_recv().ok());
        let of_stream = orders.map(|order| match order {
            Order::Stream(_, order) => order,
            other => panic!("{other:?} is not about a stream"),
        });
        of_stream.collect()
    }

    /// The reports so far, as short texts.
    pub(super) fn reports(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.reports.try_recv().ok())
            .map(|report| match report {
                Report::Running(candidate) => format!("{} runs", name(&candidate)),
                Report::OnProbation(candidate, _) => format!("{} is tried out", name(&candidate)),
                Report::LastResort(candidate) => format!("{} is the last resort", name(&candidate)),
                Report::Judged(candidate, verdict) => format!("{}: {verdict:?}", name(&candidate)),
                Report::Opening => "opening".to_owned(),
                Report::Standby => "standby".to_owned(),
                Report::Failed {
                    candidate,
                    retrying: true,
                    ..
                } => format!("{} is tried again", name(&candidate)),
                Report::Failed { candidate, .. } => format!("{} failed", name(&candidate)),
            })
            .collect()
    }
}

fn name(candidate: &Candidate) -> &str {
    &candidate.identity().source
}

fn config() -> StreamConfig {
    StreamConfig {
        name: "default".to_owned(),
        ack: Ack::Sink,
        queue: QueueLimits {
            records: 1000,
            bytes: 1 << 20,
        },
        journal: JournalPlace::DataDir,
        journal_bytes: 8 << 20,
        dead_letter_bytes: 1 << 20,
        drain: DRAIN,
        remembered: Remembered {
            count: 0,
            window: DRAIN,
        },
    }
}

fn node(name: &str, eligible: bool) -> NodeDocument {
    NodeDocument {
        eligible,
        ..NodeDocument::new(name)
    }
}

/// Waits for the outcome of records that go to the disk. Paused time does not
/// advance meanwhile, as always while a thread works.
pub(super) async fn on_disk(receipt: Receipt) -> Outcome {
    let runtime = tokio::runtime::Handle::current();
    let waiting = tokio::task::spawn_blocking(move || runtime.block_on(receipt));
    waiting.await.unwrap()
}

/// A while that is longer than every limit of a tenure.
pub(super) async fn long() {
    tokio::time::sleep(Duration::from_secs(120)).await;
}

/// Long enough for what needs no waiting.
pub(super) async fn shortly() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}
