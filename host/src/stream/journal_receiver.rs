//! Takes the records of other nodes' journals.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::route::Route;
use crate::peer::wire::TransferAnswer;
use sluice_delivery::{Chunk, Journal, JournalId, Outcome, Refused};

/// Takes the records of other nodes' journals, each entry once, one request at
/// a time.
#[derive(Debug)]
pub(crate) struct JournalReceiver {
    route: watch::Receiver<Route>,
    journal: Option<Journal>,
    /// For each journal, the entry below which all was taken.
    taken: Arc<Mutex<BTreeMap<JournalId, u64>>>,
}

/// Why nothing can be taken now.
#[derive(Debug)]
pub(crate) struct ReceiveError(pub(crate) &'static str);

impl JournalReceiver {
    /// `journal` is this node's own, if it has one. It remembers what was
    /// taken.
    pub(super) fn new(route: watch::Receiver<Route>, journal: Option<Journal>) -> Self {
        Self {
            route,
            journal,
            taken: Arc::default(),
        }
    }

    /// Takes the entries that were not taken yet, and answers when they are
    /// acknowledged here.
    pub(crate) async fn take(
        &self,
        from: JournalId,
        chunk: Chunk,
    ) -> Result<TransferAnswer, ReceiveError> {
        let taken = Arc::clone(&self.taken).lock_owned().await;
        let (route, journal) = (self.route.clone(), self.journal.clone());
        // In a task of its own, so that it ends properly even if the other node
        // no longer waits. Otherwise entries could be taken twice.
        let taking = tokio::spawn(take(route, journal, taken, from, chunk));
        taking
            .await
            .unwrap_or(Err(ReceiveError("taking the records ended unexpectedly")))
    }
}

async fn take(
    route: watch::Receiver<Route>,
    journal: Option<Journal>,
    mut marks: OwnedMutexGuard<BTreeMap<JournalId, u64>>,
    from: JournalId,
    chunk: Chunk,
) -> Result<TransferAnswer, ReceiveError> {
    let kept = journal.as_ref().map_or(0, |own| own.taken_from(from));
    let mark = marks.get(&from).copied().unwrap_or_default().max(kept);
    let end = chunk.end.max(mark);
    let fresh = chunk.entries.into_iter().zip(chunk.records);
    let (entries, records): (Vec<u64>, Vec<_>) = fresh.filter(|(entry, _)| *entry >= mark).unzip();
    let mut answer = TransferAnswer {
        taken: end,
        error: None,
    };
    if !records.is_empty() {
        let intake = match &*route.borrow() {
            Route::Local(intake) => Arc::clone(intake),
            _ => return Err(ReceiveError("this node is not the leader")),
        };
        let receipt = intake.submit_transferred(records).map_err(|refused| {
            ReceiveError(match refused {
                Refused::Full => "this node's journal is full",
                Refused::TooLarge => "these are more records than this node takes",
                Refused::Closed(reason) => reason,
                Refused::Failing => "this node's journal cannot be written",
            })
        })?;
        let Outcome::Acknowledged { rejected, .. } = receipt.await else {
            return Err(ReceiveError("this node is no longer the leader"));
        };
        if let Some(lost) = rejected.iter().find(|rejection| !rejection.is_kept) {
            answer.taken = entries.get(lost.index).copied().unwrap_or(mark);
            answer.error = Some(match lost.reason.is_empty() {
                true => "the sink refused it, and it could not be kept".to_owned(),
                false => lost.reason.clone(),
            });
        }
    }
    marks.insert(from, answer.taken);
    if let Some(own) = journal {
        own.took(from, answer.taken);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_delivery::metrics::Metrics;
    use sluice_delivery::{Backlog, Intake, JournalLimits, Queue, QueueLimits};
    use sluice_types::clock::BootTime;
    use sluice_types::lease::Lease;
    use sluice_types::record::{LogRecord, RecordId, Text};
    use std::path::Path;
    use std::time::Duration;

    fn open(folder: &Path) -> Journal {
        let limits = JournalLimits {
            bytes: 8 << 20,
            pending: 1 << 20,
        };
        Journal::open(
            folder.to_owned(),
            limits,
            Metrics::new().stream("default"),
            None,
        )
        .unwrap()
    }

    /// A leader that acknowledges from this journal.
    fn leader(journal: &Journal) -> watch::Receiver<Route> {
        let limits = QueueLimits {
            records: 1000,
            bytes: 1 << 20,
        };
        let end = BootTime::now() + Duration::from_secs(3600);
        let lease = Arc::new(Lease::new(9, BootTime::default(), end));
        let queue = Queue::new(9, limits);
        let intake = Intake::journaled(journal.clone(), queue, lease);
        watch::channel(Route::Local(Arc::new(intake))).1
    }

    fn chunk(entries: std::ops::Range<u64>) -> Chunk {
        let record = |sequence| LogRecord {
            id: RecordId { epoch: 3, sequence },
            ..LogRecord::with_body(Text::from_static("x"), 0)
        };
        Chunk {
            records: entries.clone().map(record).collect(),
            end: entries.end,
            entries: entries.collect(),
        }
    }

    fn sequences(journal: &Journal) -> Vec<u64> {
        let chunk = Backlog::new(journal.clone()).read(1 << 20).unwrap();
        chunk
            .records
            .iter()
            .map(|record| record.id.sequence)
            .collect()
    }

    #[tokio::test]
    async fn what_comes_again_is_taken_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let receiver = JournalReceiver::new(leader(&journal), Some(journal.clone()));
        let (one, other) = (JournalId([1; 16]), JournalId([2; 16]));
        for (from, entries) in [(one, 1..5), (one, 1..5), (one, 3..8), (other, 1..3)] {
            let end = entries.end;
            let answer = receiver.take(from, chunk(entries)).await.ok().unwrap();
            assert_eq!(
                answer,
                TransferAnswer {
                    taken: end,
                    error: None
                }
            );
        }
        assert_eq!(sequences(&journal), [1, 2, 3, 4, 5, 6, 7, 1, 2]);
        drop((receiver, journal));
        let journal = open(folder.path());
        let receiver = JournalReceiver::new(leader(&journal), Some(journal.clone()));
        let answer = receiver.take(one, chunk(1..9)).await.ok().unwrap();
        assert_eq!(answer.taken, 9);
        assert_eq!(sequences(&journal), [1, 2, 3, 4, 5, 6, 7, 1, 2, 8]);
    }

    #[tokio::test]
    async fn a_node_that_does_not_lead_takes_nothing() {
        let receiver = JournalReceiver::new(watch::channel(Route::Unknown).1, None);
        let refused = receiver.take(JournalId([1; 16]), chunk(1..2)).await;
        assert!(matches!(refused, Err(ReceiveError(reason)) if reason.contains("not the leader")));
    }
}
