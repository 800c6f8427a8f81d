//! Sends the records of many connections to the leader in few requests.
//!
//! While some requests are under way, what other connections have is gathered and
//! then sent together. So a node with thousands of slow clients sends no more
//! requests than the leader answers.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::parts::{PART_BYTES, PART_RECORDS};
use crate::http::Problem;
use crate::http::ingest::{Delivered, Relay};
use crate::peer::delivered::Refused;
use sluice_protocols::memory_budget::{MemoryBudget, Reservation};
use sluice_types::documents::LeaderAddress;
use sluice_types::record::LogRecord;

/// How many requests are under way at a time.
const REQUESTS: usize = 4;
/// How many batches wait to be gathered. Further connections wait for a place.
const WAITING: usize = 1024;

/// Where the outcome of records goes.
type Answer = oneshot::Sender<Result<Delivered, Problem>>;

/// Gathers records for the leader.
#[derive(Debug)]
pub(super) struct Gatherer(mpsc::Sender<Waiting>);

/// The records of one connection.
#[derive(Debug)]
struct Waiting {
    leader: LeaderAddress,
    records: Vec<LogRecord>,
    /// What the records take.
    charged: Reservation,
    outcome: Answer,
}

/// How requests are sent.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    pub(super) relay: Arc<Relay>,
    /// The stream that the records are for.
    pub(super) stream: Arc<str>,
    /// For copies of the records.
    pub(super) memory: Arc<MemoryBudget>,
    /// The time for one request.
    pub(super) limit: Duration,
    /// The most records of one request.
    pub(super) most: usize,
}

/// The records of several connections.
struct Gathered {
    leader: LeaderAddress,
    records: Vec<LogRecord>,
    bytes: usize,
    most: usize,
    /// Whose the records are, in their order.
    parts: Vec<(Range<usize>, Answer)>,
    charged: Vec<Reservation>,
}

impl Gatherer {
    /// Begins to gather. It ends when this is dropped.
    pub(super) fn start(mut sending: Sending) -> Self {
        let (waiting_in, waiting) = mpsc::channel(WAITING);
        sending.most = sending.most.min(PART_RECORDS);
        tokio::spawn(gather(waiting, sending));
        Self(waiting_in)
    }

    /// Has the records sent to the leader.
    ///
    /// # Errors
    /// The leader may have taken them.
    pub(super) async fn deliver(
        &self,
        leader: LeaderAddress,
        records: Vec<LogRecord>,
        charged: Reservation,
    ) -> Result<Delivered, Problem> {
        let (outcome_in, outcome) = oneshot::channel();
        let waiting = Waiting {
            leader,
            records,
            charged,
            outcome: outcome_in,
        };
        let ended = || Problem::Unknown("this node is stopping".to_owned());
        self.0.send(waiting).await.map_err(|_| ended())?;
        outcome.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn gather(mut waiting: mpsc::Receiver<Waiting>, sending: Sending) {
    let mut requests = Arc::new(Semaphore::new(REQUESTS));
    let mut leader = None;
    let mut first = waiting.recv().await;
    while let Some(next) = first.take() {
        if leader.as_ref() != Some(&next.leader) {
            // Requests to the one before may hang.
            requests = Arc::new(Semaphore::new(REQUESTS));
            leader = Some(next.leader.clone());
        }
        let Ok(permit) = Arc::clone(&requests).acquire_owned().await else {
            return;
        };
        let mut gathered = Gathered::new(next, sending.most);
        while let Ok(next) = waiting.try_recv() {
            // Nobody waits for it any more.
            if next.outcome.is_closed() {
                continue;
            }
            if let Some(next) = gathered.add(next) {
                first = Some(next);
                break;
            }
        }
        let sending = sending.clone();
        // In a task of its own, so that it ends properly even if connections do not
        // wait for it.
        tokio::spawn(async move {
            gathered.send(&sending).await;
            drop(permit);
        });
        if first.is_none() {
            first = waiting.recv().await;
        }
    }
}

impl Gathered {
    fn new(first: Waiting, most: usize) -> Self {
        let mut gathered = Self {
            leader: first.leader.clone(),
            records: Vec::new(),
            bytes: 0,
            most,
            parts: Vec::new(),
            charged: Vec::new(),
        };
        gathered.push(first);
        gathered
    }

    /// Adds records, or gives them back if they do not fit.
    fn add(&mut self, next: Waiting) -> Option<Waiting> {
        let bytes: usize = next.records.iter().map(LogRecord::size).sum();
        let is_too_much =
            self.records.len() + next.records.len() > self.most || self.bytes + bytes > PART_BYTES;
        if is_too_much || self.leader != next.leader {
            return Some(next);
        }
        self.push(next);
        None
    }

    fn push(&mut self, mut next: Waiting) {
        let start = self.records.len();
        self.bytes += next.records.iter().map(LogRecord::size).sum::<usize>();
        self.records.append(&mut next.records);
        self.charged.push(next.charged);
        self.parts.push((start..self.records.len(), next.outcome));
    }

    async fn send(self, sending: &Sending) {
        let end = Instant::now() + sending.limit;
        let (records, memory) = (&self.records, &sending.memory);
        let to = (&self.leader, &*sending.stream);
        let delivered = sending.relay.deliver(to, records, memory, end).await;
        for (range, outcome) in self.parts {
            // Its connection may not wait any more.
            drop(outcome.send(part(&delivered, &range)));
        }
    }
}

/// The outcome of the records in this range.
fn part(
    delivered: &Result<Delivered, Problem>,
    range: &Range<usize>,
) -> Result<Delivered, Problem> {
    match delivered {
        Ok(Delivered::Settled(refused)) => {
            let own = refused.iter().filter(|one| range.contains(&one.index));
            let own = own.map(|one| Refused {
                index: one.index - range.start,
                ..*one
            });
            Ok(Delivered::Settled(own.collect()))
        }
        Ok(Delivered::NotTaken(why)) => Ok(Delivered::NotTaken(why.clone())),
        Err(problem) => Err(problem.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::Text;

    fn waiting(address: &str, records: usize) -> Waiting {
        let leader = LeaderAddress {
            node: "a".to_owned(),
            address: address.to_owned(),
        };
        Waiting {
            leader,
            records: vec![LogRecord::with_body(Text::from_static("x"), 1); records],
            charged: MemoryBudget::new(1 << 20).reserve(),
            outcome: oneshot::channel().0,
        }
    }

    #[test]
    fn only_what_is_for_the_same_leader_and_not_too_much_is_sent_together() {
        let mut gathered = Gathered::new(waiting("a:1", 1), PART_RECORDS);
        assert!(gathered.add(waiting("a:1", 2)).is_none());
        assert!(gathered.add(waiting("b:1", 1)).is_some());
        assert!(gathered.add(waiting("a:1", PART_RECORDS)).is_some());
        let ranges: Vec<_> = gathered
            .parts
            .iter()
            .map(|(range, _)| range.clone())
            .collect();
        assert_eq!(ranges, [0..1, 1..3]);
        assert_eq!(gathered.records.len(), 3);
    }

    #[test]
    fn each_connection_gets_the_outcome_of_its_own_records() {
        let refused = |index, is_kept| Refused { index, is_kept };
        let all = Ok(Delivered::Settled(vec![
            refused(0, true),
            refused(3, false),
            refused(5, true),
        ]));
        let places = |range: Range<usize>| match part(&all, &range) {
            Ok(Delivered::Settled(refused)) => refused,
            other => panic!("{other:?}"),
        };
        assert_eq!(places(0..3), [refused(0, true)]);
        assert_eq!(places(3..6), [refused(0, false), refused(2, true)]);
        let failed = Err(Problem::Unknown("why".to_owned()));
        assert_eq!(
            part(&failed, &(0..1)).unwrap_err(),
            Problem::Unknown("why".to_owned())
        );
    }
}
