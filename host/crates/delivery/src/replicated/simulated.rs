//! A log in memory whose servers lose, delay and repeat what they are sent, and
//! answer from the past.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::chance::{Chance, nanos};
use super::log::{Answer, Log, LogError, LogState, Message, Published, Stored};
use super::simulated_ids::SimulatedIds;

/// How long ids are remembered.
pub(super) const ID_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// A log that several owners share.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedLog {
    state: Arc<Mutex<State>>,
    pub(super) ids: SimulatedIds,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    /// Every message that was ever stored.
    stored: Vec<Stored>,
    /// Messages before this one are removed.
    first: u64,
    /// Publishes that arrive later.
    late: Vec<Message>,
    faults: u64,
    /// Whether no server answers.
    is_away: bool,
    /// Whether there is no room for groups.
    is_full: bool,
    payload_limit: usize,
    /// What the servers take, which may be less than they say.
    message_max: usize,
    /// Messages that no server has any more, though they were not removed.
    holes: BTreeSet<u64>,
    /// Whether somebody has deleted the log.
    is_gone: bool,
    /// Called before messages are removed.
    removed: Vec<Stored>,
    began: Instant,
}

impl SimulatedLog {
    /// `faults` of a hundred answers are wrong.
    pub(crate) fn new(seed: u64, faults: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            stored: Vec::new(),
            first: 1,
            late: Vec::new(),
            faults,
            is_away: false,
            is_full: false,
            payload_limit: 4096,
            message_max: usize::MAX,
            holes: BTreeSet::new(),
            is_gone: false,
            removed: Vec::new(),
            began: Instant::now(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            ids: SimulatedIds::new(seed ^ 0xEF, faults, ID_WINDOW),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn set_faults(&self, faults: u64) {
        self.lock().faults = faults;
        self.ids.set_faults(faults);
    }

    pub(super) fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// Forgets the last messages, as no server should.
    pub(super) fn lose(&self, count: usize) {
        let mut state = self.lock();
        let left = state.stored.len() - count;
        state.stored.truncate(left);
    }

    /// Loses a message within the log, as no server should.
    pub(super) fn make_hole(&self, sequence: u64) {
        self.lock().holes.insert(sequence);
    }

    /// Removes all messages, as a person can.
    pub(super) fn empty(&self) {
        let mut state = self.lock();
        state.first = state.stored.len() as u64 + 1;
    }

    /// Deletes the log, as a person can.
    pub(super) fn delete(&self) {
        let mut state = self.lock();
        (state.is_gone, state.is_away) = (true, true);
    }

    /// Takes no message that is larger, whatever the servers say.
    pub(super) fn set_message_max(&self, limit: usize) {
        self.lock().message_max = limit;
    }

    /// Changes a byte of a message.
    pub(super) fn damage(&self, sequence: usize) {
        let mut state = self.lock();
        let stored = &mut state.stored[sequence - 1];
        let mut payload = stored.payload.to_vec();
        *payload.last_mut().unwrap() ^= 1;
        stored.payload = payload.into();
    }

    /// Every message that was ever stored.
    pub(super) fn history(&self) -> Vec<Stored> {
        self.lock().stored.clone()
    }

    pub(super) fn removed(&self) -> Vec<Stored> {
        std::mem::take(&mut self.lock().removed)
    }

    async fn pause(&self) {
        let (micros, is_away) = {
            let mut state = self.lock();
            (200 + state.chance.below(3000), state.is_away)
        };
        let duration = if is_away {
            Duration::from_secs(2)
        } else {
            Duration::from_micros(micros)
        };
        sleep(duration).await;
    }
}

impl State {
    fn fails(&mut self) -> bool {
        let faults = self.faults;
        self.chance.percent(faults)
    }

    fn store(&mut self, message: Message) -> Option<u64> {
        if message.after != self.stored.len() as u64 {
            return None;
        }
        let sequence = message.after + 1;
        self.stored.push(Stored {
            sequence,
            envelope: Some(message.envelope),
            time: nanos(self.began),
            payload: message.payload,
        });
        Some(sequence)
    }

    /// Lets some of the late messages arrive.
    fn arrive(&mut self) {
        while !self.late.is_empty() && self.chance.percent(40) {
            let which = self.chance.below(self.late.len() as u64) as usize;
            let message = self.late.swap_remove(which);
            self.store(message);
        }
    }

    /// The number of messages that the server knows that answers.
    fn known(&mut self) -> usize {
        let end = self.stored.len();
        match self.fails() {
            true => end - self.chance.below(end.min(4) as u64 + 1) as usize,
            false => end,
        }
    }

    fn publish(&mut self, message: Message) -> Published {
        self.arrive();
        if self.is_away {
            self.late.push(message);
            return Published::Unknown("no server answers".to_owned());
        }
        if message.payload.len() > self.message_max {
            return Published::Impossible("it is too large".to_owned());
        }
        if self.is_full && !message.payload.is_empty() {
            return Published::Full("no room".to_owned());
        }
        if !self.fails() {
            return self
                .store(message)
                .map_or(Published::Refused, Published::Stored);
        }
        match self.chance.below(6) {
            0 => Published::Refused,
            1 => Published::Full("no room".to_owned()),
            2 => Published::Unknown("lost on the way".to_owned()),
            3 => {
                self.late.push(message);
                Published::Unknown("late".to_owned())
            }
            4 => {
                self.late.push(message.clone());
                self.store(message)
                    .map_or(Published::Refused, Published::Stored)
            }
            _ => {
                self.store(message);
                Published::Unknown("the answer was lost".to_owned())
            }
        }
    }

    fn read(&mut self, from: u64, bytes: usize) -> Vec<Stored> {
        self.arrive();
        let known = self.known();
        let from = from.max(self.first) as usize;
        let mut size = 0;
        let messages = self.stored[..known].iter().skip(from - 1);
        messages
            .filter(|message| !self.holes.contains(&message.sequence))
            .take_while(|message| {
                let takes = size < bytes;
                size += message.payload.len() + 1;
                takes
            })
            .cloned()
            .collect()
    }
}

fn away<T>() -> Result<T, LogError> {
    Err(LogError("no server answers".to_owned()))
}

impl Log for SimulatedLog {
    fn prepare(&self) -> Answer<'_, Result<(), LogError>> {
        Box::pin(async {
            self.pause().await;
            if self.lock().is_away { away() } else { Ok(()) }
        })
    }

    fn publish(&self, message: Message) -> Answer<'_, Published> {
        Box::pin(async move {
            self.pause().await;
            let published = self.lock().publish(message);
            self.pause().await;
            published
        })
    }

    fn get(&self, sequence: u64) -> Answer<'_, Result<Option<Stored>, LogError>> {
        Box::pin(async move {
            self.pause().await;
            let mut state = self.lock();
            if state.is_away || state.fails() {
                return away();
            }
            let found = state.read(sequence, 1).into_iter().next();
            Ok(found.filter(|found| found.sequence == sequence))
        })
    }

    fn last(&self) -> Answer<'_, Result<Option<Stored>, LogError>> {
        Box::pin(async {
            self.pause().await;
            let mut state = self.lock();
            if state.is_away || state.fails() {
                return away();
            }
            state.arrive();
            let known = state.known();
            let last = state.stored[..known].last().cloned();
            Ok(last.filter(|last| last.sequence >= state.first))
        })
    }

    fn read(&self, from: u64, bytes: usize) -> Answer<'_, Result<Vec<Stored>, LogError>> {
        Box::pin(async move {
            self.pause().await;
            let mut state = self.lock();
            if state.is_away || state.fails() {
                return away();
            }
            Ok(state.read(from, bytes))
        })
    }

    fn purge(&self, below: u64) -> Answer<'_, Result<(), LogError>> {
        Box::pin(async move {
            self.pause().await;
            let mut state = self.lock();
            assert!(below <= state.stored.len() as u64, "the last message stays");
            let (from, to) = (state.first, below.max(state.first));
            let removed = state.stored[from as usize - 1..to as usize - 1].to_vec();
            state.removed.extend(removed);
            state.first = to;
            Ok(())
        })
    }

    fn state(&self) -> Answer<'_, Result<LogState, LogError>> {
        Box::pin(async {
            let state = self.lock();
            let messages = state.stored.iter().skip(state.first as usize - 1);
            Ok(LogState {
                first: state.first,
                last: state.stored.len() as u64,
                bytes: messages
                    .map(|message| message.payload.len() as u64 + 256)
                    .sum(),
            })
        })
    }

    fn is_gone(&self) -> Answer<'_, bool> {
        Box::pin(async {
            self.pause().await;
            self.lock().is_gone
        })
    }

    fn payload_limit(&self) -> usize {
        self.lock().payload_limit
    }
}
