//! Acknowledges what is on disk, as far as the leases allow it.

use std::sync::Arc;

use crate::completion::Completion;
use crate::counting::to_u64;
use crate::metrics::StreamMetrics;
use crate::trace::AckTrace;
use sluice_types::clock::BootTime;
use sluice_types::lease::{Lease, Standing};
use sluice_types::record::RecordId;

/// An acknowledgement that is due once the records written before it are on
/// disk.
#[derive(Debug)]
pub(crate) struct PendingAcknowledgement {
    pub(crate) completion: Completion,
    pub(crate) lease: Arc<Lease>,
    /// The records, if acknowledgements are traced.
    pub(crate) ids: Vec<RecordId>,
}

/// Acknowledgements whose records are on disk.
#[derive(Debug)]
pub(crate) struct Acknowledger {
    due: Vec<PendingAcknowledgement>,
    metrics: Arc<StreamMetrics>,
    trace: Option<Arc<AckTrace>>,
}

impl Acknowledger {
    pub(crate) const fn new(metrics: Arc<StreamMetrics>, trace: Option<Arc<AckTrace>>) -> Self {
        Self {
            due: Vec::new(),
            metrics,
            trace,
        }
    }

    /// Whether every acknowledgement was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Adds acknowledgements whose records are on disk now.
    pub(crate) fn add(&mut self, due: &mut Vec<PendingAcknowledgement>) {
        self.due.append(due);
    }

    /// Gives each acknowledgement whose lease is valid now. Those whose lease
    /// is suspended stay.
    pub(crate) fn acknowledge(&mut self) {
        let mut asked: Option<(Arc<Lease>, Standing)> = None;
        for pending in std::mem::take(&mut self.due) {
            if pending.completion.is_abandoned() {
                // It is delivered all the same.
                pending.completion.unknown("its producer no longer waits");
                continue;
            }
            let standing = match &asked {
                Some((lease, standing)) if Arc::ptr_eq(lease, &pending.lease) => *standing,
                _ => {
                    let standing = pending.lease.ask();
                    asked = Some((Arc::clone(&pending.lease), standing));
                    standing
                }
            };
            match standing {
                Standing::Valid(now) => self.give(pending, now),
                Standing::Suspended => self.due.push(pending),
                Standing::Revoked => pending
                    .completion
                    .unknown("the node stepped down before it could acknowledge"),
            }
        }
    }

    fn give(&self, pending: PendingAcknowledgement, now: BootTime) {
        if let Some(trace) = &self.trace
            && let Err(error) =
                trace.decided(now, pending.lease.epoch(), pending.ids.iter().copied())
        {
            tracing::error!(%error, "failed to write the trace of acknowledgements");
            let untraced = "its acknowledgement could not be traced";
            return pending.completion.unknown(untraced);
        }
        let records = to_u64(pending.completion.len());
        self.metrics.acknowledged.inc_by(records);
        pending.completion.acknowledge();
    }
}
