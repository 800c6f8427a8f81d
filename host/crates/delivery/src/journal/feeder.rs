//! Feeds the sink's queue from the journal, and settles what the sink has
//! confirmed.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::backlog::Backlog;
use super::chunk::Chunk;
use super::handle::Journal;
use crate::outcome::{Outcome, Refused};
use crate::queue::Queue;
use crate::receipt::Receipt;
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
/// With more unread entries than this, the file may have to come from the disk
/// rather than from the page cache.
const CACHED_ENTRIES: u64 = 16_384;
/// The time until records are offered again that the sink refused and that did
/// not fit into the dead letters.
const PARK_TIME: Duration = Duration::from_secs(5);
/// The delay before reading, or delivering from the first unsettled record, is
/// tried again after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often the queue's depth is checked while it is full.
const FULL_QUEUE_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Feeds the queue of a tenure from the journal.
#[derive(Debug)]
pub struct Feeder {
    journal: Journal,
    queue: Arc<Queue>,
    backlog: Backlog,
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
    /// Feeds from the first record that is not settled.
    #[must_use]
    pub fn new(journal: Journal, queue: Arc<Queue>) -> Self {
        Self {
            backlog: Backlog::new(journal.clone()),
            journal,
            queue,
            fed: VecDeque::new(),
        }
    }

    /// Runs until the queue is closed. Once `finish` is true, runs until
    /// everything is settled, and closes the queue then.
    pub async fn run(mut self, mut finish: watch::Receiver<bool>) {
        while let Ok(()) = self.step(&mut finish).await {}
    }

    async fn step(&mut self, finish: &mut watch::Receiver<bool>) -> Result<(), Over> {
        let is_finishing = *finish.borrow_and_update();
        if is_finishing && self.fed.is_empty() && self.backlog.is_through() {
            self.queue.close("this node is stopping");
            return Err(Over);
        }
        let waits = self.fed.iter().map(|fed| fed.bytes).sum::<usize>();
        let has_room =
            self.fed.len() < CHUNKS_MAX && waits.min(self.queue.waiting_bytes()) < QUEUED_BYTES_MAX;
        tokio::select! {
            biased;
            outcome = outcome_of(self.fed.front_mut()) => self.settle(outcome).await,
            () = self.queue.closed() => Err(Over),
            () = self.backlog.more(), if has_room => self.feed().await,
            () = tokio::time::sleep(FULL_QUEUE_POLL_INTERVAL), if !has_room => Ok(()),
            changed = finish.changed() => changed.map_err(|_| Over),
        }
    }

    /// Reads the next chunk, and submits it to the queue.
    async fn feed(&mut self) -> Result<(), Over> {
        let from = self.backlog.position();
        let read = if self.backlog.unread() > CACHED_ENTRIES {
            self.read_blocking().await
        } else {
            self.backlog.read(CHUNK_BYTES)
        };
        match read {
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

    /// Reads on a blocking thread, because the disk may be slow.
    async fn read_blocking(&mut self) -> io::Result<Chunk> {
        let again = Backlog::from(self.journal.clone(), self.backlog.position());
        let mut backlog = std::mem::replace(&mut self.backlog, again);
        let reading = tokio::task::spawn_blocking(move || {
            let read = backlog.read(CHUNK_BYTES);
            (backlog, read)
        });
        let (backlog, read) = reading.await.map_err(io::Error::other)?;
        self.backlog = backlog;
        read
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
                self.journal.settle(end);
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
            None => self.offer_again(),
            Some(Outcome::Acknowledged { rejected, .. }) => {
                self.acknowledged(&rejected);
                Ok(())
            }
            // The tenure is over, or something else failed. Everything that is
            // not settled is offered again, in order.
            Some(Outcome::NotDelivered(_) | Outcome::Unknown(_)) => {
                self.fed.clear();
                self.backlog = Backlog::new(self.journal.clone());
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
            self.journal.settle(end);
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
    fn offer_again(&mut self) -> Result<(), Over> {
        let Some(oldest) = self.fed.front_mut() else {
            return Ok(());
        };
        let (entries, records) = match oldest.read_again(&self.journal) {
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
    fn read_again(&self, journal: &Journal) -> io::Result<(Vec<u64>, Vec<LogRecord>)> {
        let wanted: BTreeSet<u64> = self.entries.iter().copied().collect();
        let mut backlog = Backlog::from(journal.clone(), self.from);
        let mut entries = Vec::with_capacity(wanted.len());
        let mut records = Vec::with_capacity(wanted.len());
        while backlog.position() < self.end {
            let chunk = backlog.read(CHUNK_BYTES)?;
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
