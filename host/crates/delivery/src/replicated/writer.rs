//! Writes a replicated journal: one message at a time, each on top of the one
//! before.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::envelope::{Envelope, Kind, Settled, Term};
use super::group::{Group, Placed};
use super::keeper;
use super::log::{Message, Stored};
use super::removed::Removal;
use super::shared::{Ended, Shared};
use crate::counting::to_u64;
use crate::journal::Acknowledger;

/// The largest payload of a group, if the log takes that.
const GROUP_BYTES: usize = 512 << 10;
/// The shortest time between checkpoints.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(25);
/// How often a suspended lease is asked again.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The time until a group is sent again for which there was no room.
const NO_ROOM_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is looked whether something should be removed.
const REMOVAL_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing may be stored before the status says so.
const TROUBLE_LIMIT: Duration = Duration::from_secs(1);
/// About what JetStream stores of a message besides its payload.
const OVERHEAD_BYTES: u64 = 256;
/// The most scheduler turns that a group waits for more requests to join.
const GATHER_TURNS_MAX: usize = 16;

/// This tenure can add nothing to the log any more.
#[derive(Debug)]
pub(super) struct Fenced(pub(super) String);

/// Writes until the tenure ends.
#[derive(Debug)]
pub struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) term: Term,
    acknowledger: Acknowledger,
    /// The sequence of this term's last message.
    pub(super) end: u64,
    /// The number of this term's latest message.
    number: u64,
    /// The number of records in the log since it began.
    pub(super) records: u64,
    /// What the last message says.
    pub(super) stored_settled: Settled,
    /// The messages whose ids were kept elsewhere when the log was opened.
    pub(super) covered: u64,
    /// What was sent for the next place.
    attempts: Vec<Envelope>,
    /// A group for which there was no room.
    blocked: Option<Group>,
    blocked_until: Instant,
    last_checkpoint: Option<Instant>,
    pub(super) removal: Removal,
    in_trouble: Option<Instant>,
}

/// Says that the writer has ended, should it panic.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        // What is read from now on is read from the servers.
        self.0.lock().kept.clear();
        self.0.ended.send_if_modified(|ended| {
            let is_open = ended.is_none();
            ended.get_or_insert_with(|| Ended::Fenced("its writer has stopped".to_owned()));
            is_open
        });
    }
}

enum Job {
    Store(Group),
    Checkpoint,
    Remove,
    Finish,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, term: Term) -> Self {
        let now = Instant::now();
        Self {
            acknowledger: Acknowledger::new(Arc::clone(&shared.metrics), shared.trace.clone()),
            shared,
            term,
            end: 0,
            number: 0,
            records: 0,
            stored_settled: Settled::default(),
            covered: 0,
            attempts: Vec::new(),
            blocked: None,
            blocked_until: now,
            last_checkpoint: None,
            removal: Removal::new(now),
            in_trouble: None,
        }
    }

    /// Opens the log, and writes until everything is written that was taken in
    /// before [`Replicated::finish`](super::Replicated::finish), or until another
    /// owner has the log.
    pub async fn run(mut self) {
        let _guard = EndGuard(Arc::clone(&self.shared));
        let keeping = keeper::keep(Arc::clone(&self.shared));
        let ended = tokio::select! {
            biased;
            written = self.write_all() => match written {
                Ok(()) => Ended::Finished,
                Err(Fenced(reason)) => Ended::Fenced(reason),
            },
            never = keeping => match never {},
        };
        self.shared.ended.send_replace(Some(ended));
    }

    async fn write_all(&mut self) -> Result<(), Fenced> {
        self.open().await?;
        loop {
            match self.next().await {
                Job::Store(group) => self.store(group).await?,
                Job::Checkpoint => self.checkpoint().await?,
                Job::Remove => self.remove().await,
                Job::Finish => return Ok(()),
            }
            self.acknowledger.acknowledge();
        }
    }

    /// Waits for something to do.
    async fn next(&mut self) -> Job {
        let shared = Arc::clone(&self.shared);
        loop {
            let work = shared.work.notified();
            if self.blocked.is_none() && !shared.lock().waiting.is_empty() {
                self.gather().await;
                if let Some(group) = self.take() {
                    return Job::Store(group);
                }
            }
            let now = Instant::now();
            if now >= self.blocked_until
                && let Some(group) = self.blocked.take()
            {
                return Job::Store(group);
            }
            let (is_finishing, is_settled_new) = {
                let state = shared.lock();
                let is_new = state.settled.records > self.stored_settled.records;
                (state.is_finishing, is_new)
            };
            let checkpoint = self
                .last_checkpoint
                .map_or(now, |last| last + CHECKPOINT_INTERVAL);
            if is_settled_new && (is_finishing || now >= checkpoint) {
                return Job::Checkpoint;
            }
            if is_finishing && self.blocked.is_none() && self.acknowledger.is_empty() {
                return Job::Finish;
            }
            if self.is_removal_due(now) {
                return Job::Remove;
            }
            let mut wake = now + REMOVAL_POLL_INTERVAL;
            if is_settled_new {
                wake = wake.min(checkpoint);
            }
            if self.blocked.is_some() {
                wake = wake.min(self.blocked_until);
            }
            if !self.acknowledger.is_empty() {
                wake = wake.min(now + LEASE_POLL_INTERVAL);
            }
            tokio::select! {
                () = work => {}
                () = sleep_until(wake) => {}
            }
            self.acknowledger.acknowledge();
        }
    }

    /// Lets tasks that are ready to submit join the group.
    async fn gather(&self) {
        let mut waiting = self.shared.lock().waiting.len();
        for _ in 0..GATHER_TURNS_MAX {
            tokio::task::yield_now().await;
            let now = self.shared.lock().waiting.len();
            if now == waiting {
                return;
            }
            waiting = now;
        }
    }

    fn take(&self) -> Option<Group> {
        let limit = self.shared.log.payload_limit().clamp(1024, GROUP_BYTES);
        let mut state = self.shared.lock();
        let group = state.waiting.take(limit)?;
        state.is_under_way = true;
        Some(group)
    }

    async fn store(&mut self, group: Group) -> Result<(), Fenced> {
        let message = self.attempt(Kind::Group, Some(&group));
        let began = std::time::Instant::now();
        let placed = self.place(&message).await;
        let publishing = &self.shared.metrics.journal_publish_seconds;
        publishing.observe(began.elapsed());
        match placed? {
            Placed::Number(number) => {
                self.fine();
                return self.placed(number, Some(group));
            }
            Placed::NoRoom(reason) => {
                self.shared.lock().is_full = true;
                self.shared.set_failure(Some(&reason));
                self.blocked = Some(group);
                self.blocked_until = Instant::now() + NO_ROOM_INTERVAL;
            }
            Placed::Impossible(reason) => {
                tracing::error!(reason, "the log will never take these records");
                let is_other = |known: &Envelope| known.number != message.envelope.number;
                self.attempts.retain(is_other);
                let mut state = self.shared.lock();
                // What is left of a request is no use without this part of it.
                let rest = state.waiting.take_touched();
                state.is_under_way = false;
                state.is_full = false;
                drop(state);
                for pending in group.acknowledgements.into_iter().chain(rest) {
                    pending.completion.unknown(&reason);
                }
            }
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Fenced> {
        let message = self.attempt(Kind::Checkpoint, None);
        self.last_checkpoint = Some(Instant::now());
        match self.place(&message).await? {
            Placed::Number(number) => self.placed(number, None),
            Placed::NoRoom(reason) | Placed::Impossible(reason) => {
                self.trouble(&reason);
                // What an earlier message has as settled can be removed.
                self.remove().await;
                self.acknowledging(sleep(NO_ROOM_INTERVAL)).await;
                Ok(())
            }
        }
    }

    /// The message for the next place: the same as before, if one of this kind
    /// was sent for it.
    fn attempt(&mut self, kind: Kind, group: Option<&Group>) -> Message {
        let sent = self.attempts.iter().find(|sent| sent.kind == kind).copied();
        let envelope = sent.unwrap_or_else(|| {
            self.number += 1;
            let mut state = self.shared.lock();
            let envelope = Envelope {
                term: self.term,
                number: self.number,
                kind,
                settled: state.settled,
                records: self.records + group.map_or(0, |group| group.records),
                part: group.and_then(|group| group.part),
                ids: group.map_or(0, Group::id_count),
                covered: state.uncovered.covered(Instant::now()),
            };
            drop(state);
            self.attempts.push(envelope);
            envelope
        });
        Message {
            after: self.end,
            envelope,
            payload: group.map_or_else(Bytes::new, |group| group.payload.clone()),
        }
    }

    /// The place has the message with this number. `group` is what was to be
    /// stored there.
    fn placed(&mut self, number: u64, group: Option<Group>) -> Result<(), Fenced> {
        let sent = self.attempts.iter().find(|sent| sent.number == number);
        let Some(envelope) = sent.copied() else {
            let place = self.end + 1;
            return Err(Fenced(format!("this node did not send message {place}")));
        };
        self.attempts.clear();
        self.end += 1;
        self.records = envelope.records;
        self.stored_settled = envelope.settled;
        let group = group.or_else(|| self.blocked.take());
        let mut state = self.shared.lock();
        state.used += OVERHEAD_BYTES;
        state.records = self.records;
        let (mut payload, mut ids) = (Bytes::new(), Vec::new());
        if let Some(mut group) = group {
            if envelope.kind == Kind::Group {
                // Its requests are acknowledged, and the sink gets it.
                self.acknowledger.add(&mut group.acknowledgements);
                state.used += to_u64(group.payload.len());
                state.is_under_way = false;
                state.is_full = false;
                payload = group.payload;
                ids = group.ids;
            } else {
                self.blocked = Some(group);
            }
        }
        state.kept.add(Stored {
            sequence: self.end,
            envelope: Some(envelope),
            time: 0,
            payload,
        });
        let has_ids = !ids.is_empty();
        state.uncovered.stored(self.end, ids, Instant::now());
        drop(state);
        if has_ids {
            self.shared.new_ids.notify_one();
        }
        self.shared.stored.send_replace(self.end + 1);
        Ok(())
    }

    /// What a term before has left.
    pub(super) fn take_over(&mut self, records: u64, settled: Settled, covered: u64) {
        self.records = records;
        self.stored_settled = settled;
        self.covered = covered;
    }

    /// Nothing can be stored at the moment.
    pub(super) fn trouble(&mut self, reason: &str) {
        let since = *self.in_trouble.get_or_insert_with(Instant::now);
        if since.elapsed() >= TROUBLE_LIMIT {
            self.shared.set_failure(Some(reason));
        }
    }

    /// Something was stored.
    pub(super) fn fine(&mut self) {
        self.in_trouble = None;
        self.shared.set_failure(None);
    }

    /// Waits for something, and gives acknowledgements meanwhile.
    pub(super) async fn acknowledging<T>(&mut self, waits: impl Future<Output = T>) -> T {
        let mut waits = pin!(waits);
        while !self.acknowledger.is_empty() {
            tokio::select! {
                biased;
                done = waits.as_mut() => return done,
                () = sleep(LEASE_POLL_INTERVAL) => self.acknowledger.acknowledge(),
            }
        }
        waits.await
    }
}
