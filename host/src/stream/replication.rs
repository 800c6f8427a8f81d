//! The replicated journal of a stream's tenures.

use std::sync::Arc;

use tokio::sync::watch;

use super::config::StreamConfig;
use super::journal_place::JournalPlace;
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{AckTrace, IdTerms, Log, Replicated, ReplicatedLimits, ReplicatedWriter};
use sluice_jetstream::{JetStreamIdLog, JetStreamLog};

/// What the tenures of a stream replicate with.
#[derive(Debug)]
pub(super) struct Replication {
    log: Arc<dyn Log>,
    ids: IdTerms,
    limits: ReplicatedLimits,
    current: watch::Sender<Option<Replicated>>,
}

/// The journal of the latest tenure.
pub(super) type CurrentReplicated = watch::Receiver<Option<Replicated>>;

impl Replication {
    /// `None` if the stream's journal is local.
    pub(super) fn of(config: &StreamConfig) -> Option<Self> {
        let JournalPlace::Servers {
            connection,
            cluster,
        } = &config.journal
        else {
            return None;
        };
        let remembered = config.remembered;
        let ids = JetStreamIdLog::new(
            connection.clone(),
            (cluster, &config.name),
            (remembered.count, remembered.window),
        );
        let log = JetStreamLog::new(
            connection.clone(),
            cluster,
            &config.name,
            config.journal_bytes,
        );
        let ids = IdTerms {
            log: Arc::new(ids),
            capacity: remembered.count,
            window: remembered.window,
        };
        Some(Self {
            log: Arc::new(log),
            ids,
            limits: ReplicatedLimits {
                bytes: config.journal_bytes,
                pending: config.queue.bytes,
                requests: config.queue.records,
            },
            current: watch::Sender::new(None),
        })
    }

    /// Says which journal is the latest one.
    pub(super) fn current(&self) -> CurrentReplicated {
        self.current.subscribe()
    }

    /// The journal of a tenure, and what writes it.
    pub(super) fn begin(
        &self,
        epoch: u64,
        metrics: &Arc<StreamMetrics>,
        trace: Option<&Arc<AckTrace>>,
    ) -> (Replicated, ReplicatedWriter) {
        let log = Arc::clone(&self.log);
        let metrics = Arc::clone(metrics);
        let ids = Some(self.ids.clone());
        let (journal, writer) =
            Replicated::new(log, epoch, self.limits, metrics, trace.cloned(), ids);
        self.current.send_replace(Some(journal.clone()));
        (journal, writer)
    }
}
