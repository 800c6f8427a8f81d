//! Opening the log: the barrier that begins a term.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::envelope::{Envelope, Kind, Settled};
use super::log::{LogError, Message, Published, Stored};
use super::uncovered::Opened;
use super::writer::{Fenced, Writer};

/// The time between attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// The same after an answer that was stale, or while an old leader still writes.
const STALE_INTERVAL: Duration = Duration::from_millis(5);

/// What an attempt showed.
enum Attempt {
    /// The barrier has this sequence.
    Open(u64),
    /// The last message was another one.
    Stale,
}

impl Writer {
    /// Stores the barrier on top of whatever is last. From then on, nothing of an
    /// earlier term can be stored.
    pub(super) async fn open(&mut self) -> Result<(), Fenced> {
        let log = Arc::clone(&self.shared.log);
        let mut is_prepared = false;
        loop {
            let attempt = async {
                if !is_prepared {
                    log.prepare().await?;
                    is_prepared = true;
                }
                log.last().await
            };
            let attempt = match attempt.await {
                Ok(last) => self.try_open(last).await,
                Err(error) => Err(Failed::ToReach(error)),
            };
            match attempt {
                Ok(Attempt::Open(barrier)) => {
                    self.opened(barrier).await;
                    return Ok(());
                }
                Ok(Attempt::Stale) => {
                    self.trouble("the log grows meanwhile: an earlier leader may still write");
                    sleep(STALE_INTERVAL).await;
                }
                Err(Failed::ForGood(fenced)) => return Err(fenced),
                Err(Failed::ToReach(LogError(reason))) => {
                    self.trouble(&reason);
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    async fn try_open(&mut self, last: Option<Stored>) -> Result<Attempt, Failed> {
        let (mut records, mut settled, mut covered) = (0, Settled::default(), 0);
        let mut after = last.as_ref().map_or(0, |last| last.sequence);
        let emptied = match last {
            None => self.emptied_after().await?,
            Some(_) => None,
        };
        if let Some(end) = emptied {
            // Nothing of it can be delivered, or read for its ids.
            (after, settled.before, covered) = (end, end + 1, end);
        }
        if let Some(last) = last {
            let Some(known) = last.envelope else {
                return Err(Failed::ToReach(LogError(format!(
                    "message {after} of the log was not written by this version of Sluice"
                ))));
            };
            (records, settled, covered) = (known.records, known.settled, known.covered);
            if known.term == self.term {
                self.take_over(records, settled, covered);
                return Ok(Attempt::Open(after));
            }
            if known.term.epoch >= self.term.epoch {
                return Err(Failed::ForGood(Fenced(format!(
                    "the log belongs to epoch {}, and this node leads under {}",
                    known.term.epoch, self.term.epoch
                ))));
            }
        }
        let barrier = Message {
            after,
            envelope: Envelope {
                term: self.term,
                number: 0,
                kind: Kind::Barrier,
                settled,
                records,
                part: None,
                ids: 0,
                covered,
            },
            payload: Bytes::new(),
        };
        match self.shared.log.publish(barrier).await {
            Published::Stored(sequence) => {
                if let Some(last) = emptied {
                    tracing::error!(last, "the log of the journal was emptied by somebody else");
                }
                self.take_over(records, settled, covered);
                Ok(Attempt::Open(sequence))
            }
            Published::Refused => Ok(Attempt::Stale),
            Published::Full(reason)
            | Published::Impossible(reason)
            | Published::Unknown(reason) => Err(Failed::ToReach(LogError(reason))),
        }
    }

    /// The last sequence of a log that was emptied. The barrier proves that this is no
    /// stale answer: it is stored only if the sequence is the last one.
    async fn emptied_after(&self) -> Result<Option<u64>, Failed> {
        let state = self.shared.log.state().await;
        Ok(state.map_err(Failed::ToReach)?.emptied_after())
    }

    async fn opened(&mut self, barrier: u64) {
        self.end = barrier;
        let at = Instant::now();
        // Only for people and the limit, so an error changes nothing.
        let state = self.shared.log.state().await.unwrap_or_default();
        let mut shared = self.shared.lock();
        shared.used = state.bytes;
        shared.uncovered.opened(Opened {
            claimed: self.covered,
            barrier,
            at,
        });
        shared.records = self.records;
        shared.settled = self.stored_settled;
        // Everything is read from there on.
        shared.settled.before = shared.settled.before.max(1);
        drop(shared);
        self.fine();
        self.shared.stored.send_replace(barrier + 1);
    }
}

/// Why an attempt failed.
enum Failed {
    /// This tenure cannot have the log.
    ForGood(Fenced),
    /// The next attempt may succeed.
    ToReach(LogError),
}
