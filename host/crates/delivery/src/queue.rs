//! Where accepted requests wait for the sink: one queue per tenure, bounded in
//! records and bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;

use crate::batch::{BATCH_BYTES, BATCH_RECORDS, Batch};
use crate::completion::Completion;
use crate::occupancy::{Occupancy, QueueLimits};
use crate::outcome::Refused;
use crate::producer::Producer;
use crate::queue_budget::QueueShare;
use crate::receipt::{Receipt, Withdraw};
use sluice_types::record::{LogRecord, RecordId};
use sluice_types::trace::TraceContext;

/// A request with at least this many records becomes a batch without moving
/// its records.
const ADOPTED_RECORDS_MIN: usize = 64;
/// The most scheduler turns that a batch waits for more requests to join.
const GATHER_TURNS_MAX: usize = 16;

/// The queue of one tenure.
#[derive(Debug)]
pub struct Queue {
    epoch: u64,
    limits: QueueLimits,
    occupancy: Arc<Occupancy>,
    state: Mutex<State>,
    filled: Notify,
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Withdrawn entries leave a hole, so that a ticket stays a position.
    entries: VecDeque<Option<Entry>>,
    /// The ticket of the first entry.
    first_ticket: u64,
    last_sequence: u64,
    /// The records of all entries, and their bytes.
    waiting: (usize, usize),
    closed: Option<&'static str>,
}

#[derive(Debug)]
struct Entry {
    records: std::vec::IntoIter<LogRecord>,
    next_sequence: u64,
    bytes: usize,
    completion: Completion,
}

impl Queue {
    /// An empty queue of the tenure with this epoch.
    #[must_use]
    pub fn new(epoch: u64, limits: QueueLimits) -> Arc<Self> {
        Self::with(epoch, limits, Occupancy::default())
    }

    /// The same, whose bytes count in the share of a stream.
    #[must_use]
    pub fn in_share(epoch: u64, limits: QueueLimits, share: Arc<QueueShare>) -> Arc<Self> {
        Self::with(epoch, limits, Occupancy::in_share(share))
    }

    fn with(epoch: u64, limits: QueueLimits, occupancy: Occupancy) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            limits,
            occupancy: Arc::new(occupancy),
            state: Mutex::default(),
            filled: Notify::new(),
            closed: Notify::new(),
        })
    }

    /// The tenure's epoch.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What may wait in it.
    pub(crate) const fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// Takes a request in, in the order of the calls.
    ///
    /// # Errors
    /// The reason why it was refused; none of it was delivered.
    pub fn submit(self: &Arc<Self>, records: Vec<LogRecord>) -> Result<Receipt, Refused> {
        self.submit_of(Producer::IsTold, None, records)
    }

    /// The same for a producer that may not be told everything, and a request that has
    /// a span.
    ///
    /// # Errors
    /// Those of [`Self::submit`].
    pub(crate) fn submit_of(
        self: &Arc<Self>,
        producer: Producer,
        trace: Option<TraceContext>,
        records: Vec<LogRecord>,
    ) -> Result<Receipt, Refused> {
        self.take_in(records, Some(self.limits), producer, trace)
    }

    /// Whether a request of this size would not be refused as too much now.
    pub(crate) fn has_room(&self, records: usize, bytes: usize) -> bool {
        self.occupancy.admits(records, bytes, self.limits) != Err(Refused::Full)
    }

    /// Takes in records whose producers were told already that they are safe,
    /// regardless of the limits: the caller bounds them.
    pub(crate) fn submit_acknowledged(
        self: &Arc<Self>,
        records: Vec<LogRecord>,
    ) -> Result<Receipt, Refused> {
        self.take_in(records, None, Producer::WasAcknowledged, None)
    }

    fn take_in(
        self: &Arc<Self>,
        records: Vec<LogRecord>,
        limits: Option<QueueLimits>,
        producer: Producer,
        trace: Option<TraceContext>,
    ) -> Result<Receipt, Refused> {
        let count = records.len();
        let bytes = records.iter().map(LogRecord::size).sum();
        let (completion, waiter) = Completion::of_traced(count, self.epoch, producer, trace);
        let ticket = {
            let mut state = self.lock();
            let admitted = match state.closed {
                Some(reason) => Err(Refused::Closed(reason)),
                None => match limits {
                    Some(limits) => self.occupancy.try_add(count, bytes, limits),
                    None => {
                        self.occupancy.add(count, bytes);
                        Ok(())
                    }
                },
            };
            if let Err(refused) = admitted {
                drop(state);
                // Nobody waits for this outcome.
                completion.not_delivered("refused");
                return Err(refused);
            }
            state.push(records, bytes, completion)
        };
        self.filled.notify_one();
        Ok(Receipt::new(
            waiter,
            ticket,
            Arc::clone(self) as Arc<dyn Withdraw>,
        ))
    }

    /// Whether nothing can be taken now.
    pub(crate) fn is_empty(&self) -> bool {
        let mut state = self.lock();
        state.drop_holes();
        state.entries.is_empty()
    }

    /// Whether so little waits that more should join it.
    pub(crate) fn is_small(&self) -> bool {
        self.lock().waiting.0 < ADOPTED_RECORDS_MIN
    }

    /// The bytes that wait, without those that are being offered.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.lock().waiting.1
    }

    /// Waits until something can be taken. False if nothing is left and the
    /// queue is closed.
    pub(crate) async fn filled(&self) -> bool {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.lock();
                state.drop_holes();
                if !state.entries.is_empty() {
                    return true;
                }
                if state.closed.is_some() {
                    return false;
                }
            }
            filled.await;
        }
    }

    /// Lets tasks that are ready to submit join the batch, for as long as more
    /// requests arrive: without these turns of the scheduler, most batches
    /// would hold a single request. A request that is alone waits for the tasks
    /// that are ready, but not until the runtime has looked for further ones,
    /// which takes a system call.
    pub(crate) async fn gather(&self) {
        let mut waiting = self.lock().entries.len();
        last_in_turn().await;
        if waiting == 1 && self.lock().entries.len() == 1 {
            return;
        }
        for _ in 0..GATHER_TURNS_MAX {
            tokio::task::yield_now().await;
            let now = self.lock().entries.len();
            if now == waiting {
                return;
            }
            waiting = now;
        }
    }

    /// Takes what has gathered, within the bounds of a batch.
    pub(crate) fn take(&self) -> Batch {
        let mut batch = Batch::new(Arc::clone(&self.occupancy));
        let mut state = self.lock();
        while batch.has_room() {
            state.drop_holes();
            let Some(Some(entry)) = state.entries.front_mut() else {
                break;
            };
            if entry.move_into(&mut batch, self.epoch) {
                state.entries.pop_front();
                state.first_ticket += 1;
            }
        }
        state.leave(batch.records.len(), batch.bytes);
        batch
    }

    /// Takes in nothing more. What waits can still be taken.
    pub fn close(&self, reason: &'static str) {
        self.lock().closed.get_or_insert(reason);
        self.filled.notify_one();
        self.closed.notify_waiters();
    }

    /// Closes the queue, and tells every request that waits in it that nothing
    /// was delivered.
    pub fn fail(&self, reason: &'static str) {
        self.close(reason);
        let entries = {
            let mut state = self.lock();
            let entries = std::mem::take(&mut state.entries);
            state.waiting = (0, 0);
            state.first_ticket += u64::try_from(entries.len()).unwrap_or_default();
            entries
        };
        for entry in entries.into_iter().flatten() {
            self.occupancy.release(entry.records.len(), entry.bytes);
            entry.completion.not_delivered(reason);
        }
    }

    /// Waits until nothing more is taken in.
    pub(crate) async fn closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.lock().closed.is_some() {
                return;
            }
            closed.await;
        }
    }

    /// Records and bytes that wait or are being offered.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        self.occupancy.used()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the tasks that are ready run first.
async fn last_in_turn() {
    let mut is_last = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_last, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl State {
    /// Adds a request at the end, and returns its ticket.
    fn push(&mut self, records: Vec<LogRecord>, bytes: usize, completion: Completion) -> u64 {
        let next_sequence = self.last_sequence + 1;
        self.waiting.0 += records.len();
        self.waiting.1 += bytes;
        self.last_sequence += u64::try_from(records.len()).unwrap_or_default();
        let entry = Entry {
            records: records.into_iter(),
            next_sequence,
            bytes,
            completion,
        };
        self.entries.push_back(Some(entry));
        self.first_ticket + u64::try_from(self.entries.len() - 1).unwrap_or_default()
    }

    /// Removes the entry with this ticket, unless all of it was taken.
    fn remove(&mut self, ticket: u64) -> Option<Entry> {
        let position = usize::try_from(ticket.checked_sub(self.first_ticket)?).ok()?;
        let entry = self.entries.get_mut(position)?.take()?;
        self.leave(entry.records.len(), entry.bytes);
        self.drop_holes();
        Some(entry)
    }

    /// Counts what no longer waits.
    const fn leave(&mut self, records: usize, bytes: usize) {
        self.waiting.0 -= records;
        self.waiting.1 -= bytes;
    }

    fn drop_holes(&mut self) {
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first_ticket += 1;
        }
    }
}

impl Entry {
    /// Moves records into the batch within its bounds; true if that were all.
    fn move_into(&mut self, batch: &mut Batch, epoch: u64) -> bool {
        let is_batch = (ADOPTED_RECORDS_MIN..=BATCH_RECORDS).contains(&self.records.len());
        if batch.records.is_empty() && is_batch && self.bytes < BATCH_BYTES {
            self.become_batch(batch, epoch);
            return true;
        }
        let (mut count, mut bytes) = (0, 0);
        let records = batch.records.to_mut();
        while records.len() < BATCH_RECORDS && batch.bytes + bytes < BATCH_BYTES {
            let Some(mut record) = self.records.next() else {
                break;
            };
            self.number(&mut record, epoch);
            count += 1;
            bytes += record.size();
            records.push(record);
        }
        self.bytes -= bytes;
        batch.bytes += bytes;
        batch
            .completions
            .push(self.completion.split_off_front(count));
        self.records.len() == 0
    }

    /// Gives all records to an empty batch without moving them.
    fn become_batch(&mut self, batch: &mut Batch, epoch: u64) {
        let mut records: Vec<_> = std::mem::take(&mut self.records).collect();
        for record in &mut records {
            self.number(record, epoch);
        }
        batch.bytes += std::mem::take(&mut self.bytes);
        batch
            .completions
            .push(self.completion.split_off_front(records.len()));
        batch.records = records.into();
    }

    /// Numbers the record. The sequence of a record that has an id is skipped.
    fn number(&mut self, record: &mut LogRecord, epoch: u64) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        record.assign_id(RecordId { epoch, sequence });
    }
}

impl Withdraw for Queue {
    fn withdraw(&self, ticket: u64) -> bool {
        let removed = self.lock().remove(ticket);
        let Some(entry) = removed else { return false };
        self.occupancy.release(entry.records.len(), entry.bytes);
        let is_untouched = entry.completion.is_whole();
        entry.completion.not_delivered("withdrawn");
        is_untouched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::testing::records;

    const LIMITS: QueueLimits = QueueLimits {
        records: 10_000,
        bytes: 64 << 20,
    };

    #[tokio::test]
    async fn what_gathers_is_taken_at_once_and_numbered_in_order() {
        let queue = Queue::new(5, LIMITS);
        let one = queue.submit(records(1)).unwrap();
        let two = queue.submit(records(2)).unwrap();
        let batch = queue.take();
        let ids: Vec<_> = batch
            .records
            .iter()
            .map(|r| (r.id.epoch, r.id.sequence))
            .collect();
        assert_eq!(ids, [(5, 1), (5, 2), (5, 3)]);
        batch.acknowledge();
        let acknowledged = Outcome::Acknowledged {
            epoch: 5,
            rejected: Vec::new(),
        };
        assert_eq!(one.await, acknowledged);
        assert_eq!(two.await, acknowledged);
        assert_eq!(queue.depth(), (0, 0));
    }

    #[tokio::test]
    async fn a_large_request_is_offered_in_pieces() {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records(BATCH_RECORDS + 10)).unwrap();
        let first = queue.take();
        assert_eq!(first.records.len(), BATCH_RECORDS);
        first.acknowledge();
        assert_eq!(queue.depth().0, 10);
        let second = queue.take();
        let sequence = u64::try_from(BATCH_RECORDS).unwrap() + 1;
        assert_eq!(second.records[0].id.sequence, sequence);
        second.acknowledge();
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
    }

    /// Random requests, takes, outcomes and withdrawals against plain lists.
    #[test]
    fn it_is_a_queue_whatever_happens() {
        use rand::rngs::StdRng;
        use rand::{RngExt, SeedableRng};
        for seed in 0..300 {
            let mut rng = StdRng::seed_from_u64(seed);
            let limits = QueueLimits {
                records: rng.random_range(50..3000),
                bytes: 64 << 20,
            };
            let queue = Queue::new(1, limits);
            // What waits, one list of sequences per request, and what was
            // taken.
            let mut waiting: VecDeque<(Receipt, Vec<u64>)> = VecDeque::new();
            let (mut taken, mut offered) = (Vec::new(), Vec::new());
            let mut last = 0;
            for _ in 0..200 {
                let held =
                    |offered: &[Batch]| offered.iter().map(|b| b.records.len()).sum::<usize>();
                match rng.random_range(0..10) {
                    0..5 => {
                        let count = rng.random_range(1..200);
                        let waits: usize = waiting.iter().map(|(_, rest)| rest.len()).sum();
                        let fits = waits + held(&offered) + count <= limits.records;
                        match queue.submit(records(count)) {
                            Ok(receipt) => {
                                assert!(fits, "seed {seed}");
                                let end = last + u64::try_from(count).unwrap();
                                waiting.push_back((receipt, (last + 1..=end).collect()));
                                last = end;
                            }
                            Err(Refused::TooLarge) => assert!(count > limits.records),
                            Err(refused) => assert!(!fits, "seed {seed}: {refused:?}"),
                        }
                    }
                    5..8 => {
                        let batch = queue.take();
                        let given: Vec<u64> = batch.records.iter().map(|r| r.id.sequence).collect();
                        let mut expected = Vec::new();
                        while expected.len() < given.len() {
                            let (_, rest) = waiting.front_mut().unwrap();
                            let count = rest.len().min(given.len() - expected.len());
                            expected.extend(rest.drain(..count));
                            if rest.is_empty() {
                                taken.extend(waiting.pop_front());
                            }
                        }
                        assert_eq!(given, expected, "seed {seed}");
                        offered.push(batch);
                    }
                    8 if !offered.is_empty() => {
                        let batch = offered.swap_remove(rng.random_range(0..offered.len()));
                        match rng.random() {
                            true => batch.acknowledge(),
                            false => batch.reject("no", false),
                        }
                    }
                    _ if !waiting.is_empty() => {
                        // Giving up withdraws what was not offered yet.
                        let place = rng.random_range(0..waiting.len());
                        drop(waiting.remove(place));
                    }
                    _ => {}
                }
                let waits: usize = waiting.iter().map(|(_, rest)| rest.len()).sum();
                assert_eq!(queue.depth().0, waits + held(&offered), "seed {seed}");
            }
        }
    }

    #[test]
    fn the_limits_count_what_is_being_offered() {
        let queue = Queue::new(
            1,
            QueueLimits {
                records: 2,
                bytes: 1 << 20,
            },
        );
        assert_eq!(queue.submit(records(3)).unwrap_err(), Refused::TooLarge);
        let _kept = queue.submit(records(2)).unwrap();
        assert_eq!(queue.submit(records(1)).unwrap_err(), Refused::Full);
        let batch = queue.take();
        assert_eq!(queue.submit(records(1)).unwrap_err(), Refused::Full);
        drop(batch);
        assert!(queue.submit(records(1)).is_ok());
    }

    #[test]
    fn giving_up_before_the_sink_got_it_is_certain() {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records(3)).unwrap();
        let other = queue.submit(records(1)).unwrap();
        assert!(matches!(receipt.give_up(), Outcome::NotDelivered(_)));
        assert_eq!(queue.depth().0, 1);
        let batch = queue.take();
        assert_eq!(batch.records.len(), 1);
        assert!(matches!(other.give_up(), Outcome::Unknown(_)));
        assert!(batch.is_abandoned());
    }

    #[test]
    fn giving_up_midway_is_unknown() {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records(BATCH_RECORDS + 1)).unwrap();
        let batch = queue.take();
        assert!(matches!(receipt.give_up(), Outcome::Unknown(_)));
        assert_eq!(queue.depth().0, BATCH_RECORDS);
        drop(batch);
        assert_eq!(queue.depth(), (0, 0));
    }

    #[tokio::test]
    async fn a_closed_queue_can_be_emptied() {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records(1)).unwrap();
        queue.close("stopping");
        assert_eq!(
            queue.submit(records(1)).unwrap_err(),
            Refused::Closed("stopping")
        );
        assert!(queue.filled().await);
        queue.take().acknowledge();
        assert!(!queue.filled().await);
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
    }

    #[tokio::test]
    async fn requests_that_wait_when_the_tenure_ends_are_told() {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records(1)).unwrap();
        queue.fail("stepped down");
        assert_eq!(receipt.await, Outcome::NotDelivered("stepped down"));
        assert_eq!(queue.depth(), (0, 0));
    }
}
