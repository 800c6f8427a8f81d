//! A log of ids in memory whose servers lose, delay and repeat what they are sent, and
//! answer from the past.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::chance::{Chance, nanos};
use super::id_log::{IdLog, RequestId, StoredIds};
use super::log::{Answer, LogError};

/// A log of ids that several owners share.
#[derive(Clone, Debug)]
pub(super) struct SimulatedIds(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    chance: Chance,
    stored: Vec<StoredIds>,
    /// Publishes that arrive later.
    late: Vec<(Vec<RequestId>, Duration)>,
    faults: u64,
    is_away: bool,
    /// How long a message is kept.
    window: Duration,
    began: Instant,
}

impl SimulatedIds {
    /// `faults` of a hundred answers are wrong.
    pub(super) fn new(seed: u64, faults: u64, window: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            chance: Chance::new(seed),
            stored: Vec::new(),
            late: Vec::new(),
            faults,
            is_away: false,
            window,
            began: Instant::now(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn set_faults(&self, faults: u64) {
        self.lock().faults = faults;
    }

    pub(super) fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// All ids that are there.
    pub(super) fn all(&self) -> Vec<RequestId> {
        let state = self.lock();
        let ids = state.stored.iter().skip(state.first());
        ids.flat_map(|message| message.ids.clone()).collect()
    }

    /// How many messages were ever stored.
    pub(super) fn count(&self) -> usize {
        self.lock().stored.len()
    }

    async fn pause(&self) -> Result<(), LogError> {
        let (micros, is_away) = {
            let mut state = self.lock();
            (200 + state.chance.below(3000), state.is_away)
        };
        match is_away {
            true => sleep(Duration::from_secs(2)).await,
            false => sleep(Duration::from_micros(micros)).await,
        }
        let mut state = self.lock();
        match state.is_away || state.fails() {
            true => Err(LogError("no server answers".to_owned())),
            false => Ok(()),
        }
    }
}

impl State {
    fn fails(&mut self) -> bool {
        let faults = self.faults;
        self.chance.percent(faults)
    }

    /// How many messages are too old.
    fn first(&self) -> usize {
        let now = nanos(self.began);
        let window = u64::try_from(self.window.as_nanos()).unwrap();
        let is_old = |message: &&StoredIds| message.time + window < now;
        self.stored.iter().take_while(is_old).count()
    }

    fn store(&mut self, ids: Vec<RequestId>, age: Duration) -> u64 {
        let sequence = self.stored.len() as u64 + 1;
        self.stored.push(StoredIds {
            sequence,
            time: nanos(self.began),
            age,
            ids,
        });
        sequence
    }
}

impl IdLog for SimulatedIds {
    fn prepare(&self) -> Answer<'_, Result<[u8; 16], LogError>> {
        Box::pin(async {
            self.pause().await?;
            Ok([7; 16])
        })
    }

    fn publish(&self, ids: Vec<RequestId>, age: Duration) -> Answer<'_, Result<u64, LogError>> {
        Box::pin(async move {
            let arrives = self.pause().await;
            let stored = {
                let mut state = self.lock();
                if state.chance.percent(40)
                    && let Some((ids, age)) = state.late.pop()
                {
                    state.store(ids, age);
                }
                if arrives.is_err() {
                    if state.chance.percent(50) {
                        state.late.push((ids, age));
                    }
                    return arrives.map(|()| 0);
                }
                state.store(ids, age)
            };
            self.pause().await?;
            Ok(stored)
        })
    }

    fn read(&self, from: u64) -> Answer<'_, Result<Vec<StoredIds>, LogError>> {
        Box::pin(async move {
            self.pause().await?;
            let mut state = self.lock();
            let end = state.stored.len();
            let is_stale = state.fails();
            let known = match is_stale {
                true => end - state.chance.below(end.min(4) as u64 + 1) as usize,
                false => end,
            };
            let first = state.first().max(from as usize - 1);
            let messages = state.stored[..known].iter().skip(first);
            Ok(messages.take(3).cloned().collect())
        })
    }

    fn first(&self) -> Answer<'_, Result<u64, LogError>> {
        Box::pin(async {
            self.pause().await?;
            Ok(self.lock().first() as u64 + 1)
        })
    }

    fn ids_max(&self) -> usize {
        3
    }
}
