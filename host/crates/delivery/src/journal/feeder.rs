//! Takes what is in the journal to the sink's queue, and settles what the sink
//! has confirmed.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::backlog::{Backlog, Chunk};
use super::state::Journal;
use crate::ack::{Outcome, Receipt};
use crate::queue::{Queue, Refused};
use sluice_types::error_chain::chain;
use sluice_types::record::LogRecord;

/// About how much is read at once, as records count in memory.
const CHUNK: usize = 1 << 20;
/// How much may wait in the queue, so that memory stays bounded however much
/// the journal holds.
const WINDOW: usize = 4 << 20;
/// How many chunks may wait for their outcome.
const CHUNKS: usize = 4096;
/// With more unread than this, the file may have to come from the disk.
const LONG: u64 = 16_384;
/// The time until records are offered again which the sink refused and for
/// which the dead letters had no room.
const PARKED: Duration = Duration::from_secs(5);
/// The time after which what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the queue is looked at while it is full.
const LOOK: Duration = Duration::from_millis(10);

/// Feeds the queue of a tenure from the journal.
#[derive(Debug)]
pub struct Feeder {
    journal: Journal,
    queue: Arc<Queue>,
    backlog: Backlog,
    /// What was fed, in order.
    fed: VecDeque<Fed>,
}

/// A chunk that was fed.
#[derive(Debug)]
struct Fed {
    from: u64,
    end: u64,
    /// What of it is under way.
    entries: Vec<u64>,
    /// As they count in memory.
    bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Offered(Receipt),
    /// Refused, and not kept as dead letters either.
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

    /// Runs until the queue is closed; or, once `finish` is true, until all is
    /// settled, and closes the queue then.
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
        let has_room = self.fed.len() < CHUNKS && waits.min(self.queue.depth().1) < WINDOW;
        tokio::select! {
            biased;
            outcome = outcome_of(self.fed.front_mut()) => self.settle(outcome).await,
            () = self.queue.closed() => Err(Over),
            () = self.backlog.more(), if has_room => self.feed().await,
            () = tokio::time::sleep(LOOK), if !has_room => Ok(()),
            changed = finish.changed() => changed.map_err(|_| Over),
        }
    }

    /// Reads on, and hands it to the queue.
    async fn feed(&mut self) -> Result<(), Over> {
        let from = self.backlog.position();
        let read = if self.backlog.unread() > LONG {
            self.read_aside().await
        } else {
            self.backlog.read(CHUNK)
        };
        match read {
            Ok(chunk) => self.offer(from, chunk),
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "the journal can not be read; trying again"
                );
                tokio::time::sleep(RETRY).await;
                Ok(())
            }
        }
    }

    /// Reads where waiting for a disk holds up nobody.
    async fn read_aside(&mut self) -> io::Result<Chunk> {
        let again = Backlog::from(self.journal.clone(), self.backlog.position());
        let mut backlog = std::mem::replace(&mut self.backlog, again);
        let reading = tokio::task::spawn_blocking(move || {
            let read = backlog.read(CHUNK);
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
            // Only damage was read past.
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
        self.queue.submit_promised(records).map_err(|refused| {
            if !matches!(refused, Refused::Closed(_)) {
                tracing::error!(?refused, "the queue did not take what the journal holds");
            }
            Over
        })
    }

    /// Deals with the outcome of the oldest chunk; `None` if it was parked long
    /// enough.
    async fn settle(&mut self, outcome: Option<Outcome>) -> Result<(), Over> {
        let Some(oldest) = self.fed.front_mut() else {
            return Ok(());
        };
        match outcome {
            None => return self.offer_again(),
            Some(Outcome::Acknowledged { rejected, .. }) => {
                let lost: Vec<u64> = rejected
                    .iter()
                    .filter(|rejection| !rejection.is_kept)
                    .filter_map(|rejection| oldest.entries.get(rejection.index).copied())
                    .collect();
                if lost.is_empty() {
                    let end = oldest.end;
                    self.fed.pop_front();
                    self.journal.settle(end);
                } else {
                    tracing::error!(
                        records = lost.len(),
                        "the sink refuses acknowledged records and the dead letters are full: \
                         they stay in the journal; make room with sluice dlq purge"
                    );
                    oldest.entries = lost;
                    oldest.state = State::Parked(Instant::now() + PARKED);
                }
            }
            // The tenure is over, or this was not its fault: all that is not
            // settled is offered again, in order.
            Some(Outcome::NotDelivered(_) | Outcome::Unknown(_)) => {
                self.fed.clear();
                self.backlog = Backlog::new(self.journal.clone());
                tokio::select! {
                    () = self.queue.closed() => return Err(Over),
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
        Ok(())
    }

    /// Offers what is left of the oldest chunk once more.
    fn offer_again(&mut self) -> Result<(), Over> {
        let Some(oldest) = self.fed.front() else {
            return Ok(());
        };
        let wanted: BTreeSet<u64> = oldest.entries.iter().copied().collect();
        let end = oldest.end;
        let mut backlog = Backlog::from(self.journal.clone(), oldest.from);
        let mut records = Vec::with_capacity(wanted.len());
        let mut entries = Vec::with_capacity(wanted.len());
        while backlog.position() < end {
            let chunk = match backlog.read(CHUNK) {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::error!(error = chain(&error), "the journal can not be read");
                    if let Some(oldest) = self.fed.front_mut() {
                        oldest.state = State::Parked(Instant::now() + PARKED);
                    }
                    return Ok(());
                }
            };
            for (entry, record) in chunk.entries.into_iter().zip(chunk.records) {
                if wanted.contains(&entry) {
                    entries.push(entry);
                    records.push(record);
                }
            }
        }
        let receipt = self.submit(records)?;
        if let Some(oldest) = self.fed.front_mut() {
            oldest.entries = entries;
            oldest.state = State::Offered(receipt);
        }
        Ok(())
    }
}

/// What became of a chunk; `None` once it was parked long enough. Never ends
/// without a chunk.
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
