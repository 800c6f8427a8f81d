//! Feeds the sink's queue from a journal, and settles what the sink has
//! confirmed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::journal::Chunk;
use crate::outcome::{Outcome, Refused};
use crate::queue::Queue;
use crate::receipt::Receipt;
use crate::source::{ReadError, Source};
use sluice_types::error_chain::chain;
use sluice_types::record::LogRecord;
use sluice_types::rejection::Rejection;

/// About how many bytes are read at once, as records count in memory.
const CHUNK_BYTES: usize = 1 << 20;
/// The bytes that may wait in the queue, beside those that the sink is offered,
/// so that memory stays bounded however much the journal holds.
const QUEUED_BYTES_MAX: usize = 4 << 20;
/// The number of chunks that may wait for their outcome.
const CHUNKS_MAX: usize = 4096;
/// The time until records are offered again that the sink refused and that did
/// not fit into the dead letters.
const PARK_TIME: Duration = Duration::from_secs(5);
/// The delay before reading, or delivering from the first unsettled record, is
/// tried again after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often the queue's depth is checked while it is full.
const FULL_QUEUE_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How far a feeder goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Until the queue is closed.
    Never,
    /// Until everything is settled that only this node can deliver.
    Own,
    /// Until everything is settled: no other node will deliver it.
    All,
}

/// Feeds the queue of a tenure from the journal.
#[derive(Debug)]
pub struct Feeder {
    queue: Arc<Queue>,
    source: Source,
    /// The chunks in the queue, in order.
    fed: VecDeque<Fed>,
}

/// A chunk that was fed to the queue.
#[derive(Debug)]
struct Fed {
    from: u64,
    end: u64,
    /// The entries without an outcome.
    entries: Vec<u64>,
    /// The size of its records in memory.
    bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Offered(Receipt),
    /// Refused by the sink, and the dead letters are full. Offered again at
    /// this time.
    Parked(Instant),
}

/// The tenure is over.
struct Over;

impl Feeder {
    /// Feeds from the first record of the journal that is not settled.
    #[must_use]
    pub fn new(journal: impl Into<Source>, queue: Arc<Queue>) -> Self {
        Self {
            source: journal.into(),
            queue,
            fed: VecDeque::new(),
        }
    }

    /// Runs until the queue is closed, or as far as `finish` says; closes the queue then.
    pub async fn run(self, finish: watch::Receiver<Finish>) {
        let queue = Arc::clone(&self.queue);
        self.run_beside(finish).await;
        queue.close("this node is stopping");
    }

    /// The same for one of several feeders of a queue: leaves it open.
    pub async fn run_beside(mut self, mut finish: watch::Receiver<Finish>) {
        while let Ok(()) = self.step(&mut finish).await {}
    }

    async fn step(&mut self, finish: &mut watch::Receiver<Finish>) -> Result<(), Over> {
        let is_through = match *finish.borrow_and_update() {
            Finish::Never => false,
            Finish::Own => self.source.is_through(),
            Finish::All => self.source.is_delivered(),
        };
        if is_through && self.fed.is_empty() {
            return Err(Over);
        }
        let waits = self.fed.iter().map(|fed| fed.bytes).sum::<usize>();
        let has_room =
            self.fed.len() < CHUNKS_MAX && waits.min(self.queue.waiting_bytes()) < QUEUED_BYTES_MAX;
        let leaves_rest = *finish.borrow() == Finish::Own && self.source.may_be_left();
        let reads = has_room && !leaves_rest;
        tokio::select! {
            biased;
            outcome = outcome_of(self.fed.front_mut()) => self.settle(outcome).await,
            () = self.queue.closed() => Err(Over),
            () = self.source.more(), if reads => self.feed().await,
            () = tokio::time::sleep(FULL_QUEUE_POLL_INTERVAL), if !reads => Ok(()),
            changed = finish.changed() => changed.map_err(|_| Over),
        }
    }

    /// Reads the next chunk, and submits it to the queue.
    async fn feed(&mut self) -> Result<(), Over> {
        let from = self.source.position();
        match self.source.read(CHUNK_BYTES).await {
            Ok(chunk) => self.offer(from, chunk),
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "the journal cannot be read; trying again"
                );
                tokio::time::sleep(RETRY_DELAY).await;
                Ok(())
            }
        }
    }

    fn offer(&mut self, from: u64, chunk: Chunk) -> Result<(), Over> {
        let Chunk {
            entries,
            records,
            end,
        } = chunk;
        if records.is_empty() {
            // Only damage is left in the journal there.
            if self.fed.is_empty() {
                self.source.settle(end);
            }
            return Ok(());
        }
        let bytes = records.iter().map(LogRecord::size).sum();
        let receipt = self.submit(records)?;
        self.fed.push_back(Fed {
            from,
            end,
            entries,
            bytes,
            state: State::Offered(receipt),
        });
        Ok(())
    }

    fn submit(&self, records: Vec<LogRecord>) -> Result<Receipt, Over> {
        self.queue.submit_acknowledged(records).map_err(|refused| {
            if !matches!(refused, Refused::Closed(_)) {
                tracing::error!(?refused, "the queue did not take what the journal holds");
            }
            Over
        })
    }

    /// Handles the outcome of the oldest chunk; `None` if it was parked and
    /// that time is over.
    async fn settle(&mut self, outcome: Option<Outcome>) -> Result<(), Over> {
        match outcome {
            None => self.offer_again().await,
            Some(Outcome::Acknowledged { rejected, .. }) => {
                self.acknowledged(&rejected);
                Ok(())
            }
            // The tenure is over, or something else failed. Everything that is
            // not settled is offered again, in order.
            Some(Outcome::NotDelivered(_) | Outcome::Unknown(_)) => {
                self.fed.clear();
                self.source.restart();
                tokio::select! {
                    () = self.queue.closed() => Err(Over),
                    () = tokio::time::sleep(RETRY_DELAY) => Ok(()),
                }
            }
        }
    }

    /// Settles the oldest chunk, or parks what was lost of it: refused by the
    /// sink and not kept as a dead letter.
    fn acknowledged(&mut self, rejected: &[Rejection]) {
        let Some(oldest) = self.fed.front_mut() else {
            return;
        };
        let lost: Vec<u64> = rejected
            .iter()
            .filter(|rejection| !rejection.is_kept)
            .filter_map(|rejection| oldest.entries.get(rejection.index).copied())
            .collect();
        if lost.is_empty() {
            let end = oldest.end;
            self.fed.pop_front();
            self.source.settle(end);
            return;
        }
        tracing::error!(
            records = lost.len(),
            "the sink refuses acknowledged records and the dead letters are full: they stay in \
             the journal; make room with sluice dlq purge"
        );
        oldest.entries = lost;
        oldest.state = State::Parked(Instant::now() + PARK_TIME);
    }

    /// Offers the rest of the oldest chunk again.
    async fn offer_again(&mut self) -> Result<(), Over> {
        let Some(oldest) = self.fed.front_mut() else {
            return Ok(());
        };
        let (entries, records) = match oldest.read_again(&self.source).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error = chain(&error), "the journal cannot be read");
                oldest.state = State::Parked(Instant::now() + PARK_TIME);
                return Ok(());
            }
        };
        oldest.entries = entries;
        let receipt = self.submit(records)?;
        if let Some(oldest) = self.fed.front_mut() {
            oldest.state = State::Offered(receipt);
        }
        Ok(())
    }
}

impl Fed {
    /// Its entries without an outcome, with their records.
    async fn read_again(&self, source: &Source) -> Result<(Vec<u64>, Vec<LogRecord>), ReadError> {
        let wanted: BTreeSet<u64> = self.entries.iter().copied().collect();
        let mut source = source.again_from(self.from);
        let mut entries = Vec::with_capacity(wanted.len());
        let mut records = Vec::with_capacity(wanted.len());
        while source.position() < self.end {
            let chunk = source.read(CHUNK_BYTES).await?;
            if chunk.is_empty() {
                break;
            }
            for (entry, record) in chunk.entries.into_iter().zip(chunk.records) {
                if wanted.contains(&entry) {
                    entries.push(entry);
                    records.push(record);
                }
            }
        }
        Ok((entries, records))
    }
}

/// The outcome of a chunk; `None` if it was parked and that time is over. Never
/// ends without a chunk.
async fn outcome_of(fed: Option<&mut Fed>) -> Option<Outcome> {
    match fed.map(|fed| &mut fed.state) {
        Some(State::Offered(receipt)) => Some(receipt.await),
        Some(State::Parked(until)) => {
            tokio::time::sleep_until(*until).await;
            None
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::occupancy::QueueLimits;
    use crate::replicated::{Replicated, ReplicatedLimits, SimulatedLog};
    use crate::testing::records;
    use sluice_types::clock::BootTime;
    use sluice_types::lease::Lease;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn what_the_next_leader_can_deliver_is_left_unless_there_will_be_none() {
        for (finish, left) in [(Finish::Own, 10), (Finish::All, 0)] {
            let limits = ReplicatedLimits {
                bytes: 1 << 20,
                pending: 1 << 18,
                requests: 1000,
            };
            let metrics = Metrics::new().stream("default");
            let log = Arc::new(SimulatedLog::new(1, 0));
            let (journal, writer) = Replicated::new(log, 7, limits, metrics, None, None);
            let mut writing = JoinSet::new();
            writing.spawn(writer.run());
            let lease = Lease::new(7, BootTime::default(), BootTime::now() + HOUR);
            let lease = Arc::new(lease);
            for _ in 0..10 {
                let receipt = journal.append(&lease, (Vec::new(), records(1)), false);
                let outcome = timeout(HOUR, receipt.unwrap()).await.unwrap();
                assert!(
                    matches!(outcome, Outcome::Acknowledged { .. }),
                    "{outcome:?}"
                );
            }
            let limits = QueueLimits {
                records: 100,
                bytes: 1 << 20,
            };
            let queue = Queue::new(7, limits);
            let (_finish, finishing) = watch::channel(finish);
            let feeding = Feeder::new(journal.clone(), Arc::clone(&queue)).run(finishing);
            let delivering = async {
                while queue.filled().await {
                    queue.take().acknowledge();
                }
            };
            let both = async { tokio::join!(feeding, delivering) };
            timeout(HOUR, both).await.unwrap();
            assert_eq!(journal.status().backlog, left, "{finish:?}");
        }
    }
}
