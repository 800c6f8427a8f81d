//! What becomes of records that the sink never accepts: their producers are
//! told, or they are kept as dead letters.

use std::sync::Arc;

use crate::batch::Batch;
use crate::dead_letters::{Cause, DeadLetters, Letter};
use crate::metrics::StreamMetrics;
use crate::tail::{Fate, Tail};
use sluice_types::excerpt::{REASON_CHARS, excerpt};
use sluice_types::plugin::Identity;

/// Reports or keeps single records that no sink accepts.
#[derive(Debug)]
pub(crate) struct Rejects {
    letters: DeadLetters,
    metrics: Arc<StreamMetrics>,
    tail: Tail,
}

impl Rejects {
    pub(crate) const fn new(letters: DeadLetters, metrics: Arc<StreamMetrics>, tail: Tail) -> Self {
        Self {
            letters,
            metrics,
            tail,
        }
    }

    /// The sink refused this record for good. Its producer is told, or the record
    /// is kept.
    pub(crate) fn refuse(&self, batch: Batch, reason: String, plugin: &Identity) {
        // An acknowledged record may be refused many times until it can be
        // kept. It counts once: when it is kept.
        if !batch.is_acknowledged() {
            self.metrics.rejected.inc();
        }
        if batch.tells_nobody() {
            self.set_aside(batch, Cause::Refused, reason, plugin);
        } else {
            let reason = excerpt(&reason, REASON_CHARS);
            self.tail
                .passed(&batch, || Fate::Refused(reason.as_ref().into()));
            batch.reject(&reason, false);
        }
    }

    /// Keeps this record as a dead letter, and tells its producer which one.
    pub(crate) fn set_aside(&self, batch: Batch, cause: Cause, reason: String, plugin: &Identity) {
        let Some(record) = batch.records.first() else {
            return;
        };
        tracing::warn!(
            plugin = plugin.source,
            epoch = record.id.epoch,
            sequence = record.id.sequence,
            reason,
            "setting a record aside"
        );
        let letter = Letter::new(record, cause, &reason, plugin);
        let (metrics, tail) = (Arc::clone(&self.metrics), self.tail.clone());
        let reason = excerpt(&reason, REASON_CHARS).into_owned();
        let report = move |kept: Result<String, String>| match kept {
            Ok(id) => {
                metrics.dead_lettered.inc();
                if cause == Cause::Refused && batch.is_acknowledged() {
                    metrics.rejected.inc();
                }
                let reason = format!("{reason}; it is kept as the dead letter {id}");
                tail.passed(&batch, || Fate::DeadLetter(reason.as_str().into()));
                batch.reject(&reason, true);
            }
            Err(error) => {
                let reason = format!("{reason}; it could not be kept: {error}");
                tail.passed(&batch, || Fate::Refused(reason.as_str().into()));
                batch.reject(&reason, false);
            }
        };
        self.letters.keep(letter, Box::new(report));
    }
}
