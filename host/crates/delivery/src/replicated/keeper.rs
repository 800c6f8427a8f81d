//! Keeps the ids of requests beyond the messages that they came with, and reads those
//! of earlier leaders.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::id_log::{RequestId, StoredIds};
use super::id_terms::IdTerms;
use super::log::{Answer, LogError};
use super::recalled::Recalled;
use super::shared::Shared;
use super::uncovered::{Due, IdsOf, Opened};

/// The shortest time between messages with ids, unless messages are to be removed.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time between attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// The time until messages are asked for again that a server does not have yet.
const BEHIND_INTERVAL: Duration = Duration::from_millis(50);
/// How long attempts may fail before the status says so.
const TROUBLE_LIMIT: Duration = Duration::from_secs(1);
/// About how many bytes of the log are read at once.
const READ_BYTES: usize = 1 << 20;

/// Keeps the ids of one tenure's messages.
struct Keeper<'a> {
    shared: &'a Shared,
    terms: &'a IdTerms,
}

/// Ids in the order in which they were stored, the last ones of too many.
struct Found {
    ids: VecDeque<(RequestId, Instant)>,
    capacity: usize,
}

/// Keeps ids for as long as this is polled, if any are to be kept.
pub(super) async fn keep(shared: Arc<Shared>) -> Infallible {
    let Some(terms) = shared.id_terms.as_ref().filter(|terms| terms.capacity > 0) else {
        return std::future::pending().await;
    };
    let mut stored = shared.stored.subscribe();
    // The sender lives as long as this.
    drop(stored.wait_for(|stored| *stored > 0).await);
    let keeper = Keeper {
        shared: &shared,
        terms,
    };
    let opened = shared.lock().uncovered.opening();
    if let Some(opened) = opened {
        keeper.recall(opened).await;
    }
    keeper.keep().await
}

impl Keeper<'_> {
    /// Reads what earlier leaders have stored. The log comes first: what it does not have
    /// any more was in the log of ids before, and so before the mark.
    async fn recall(&self, opened: Opened) {
        let began = Instant::now();
        let ids = &*self.terms.log;
        let key = self.persist(|| ids.prepare()).await;
        let in_log = self.read_log(opened).await;
        let mark = self.persist(|| ids.publish(Vec::new(), Duration::ZERO));
        let mark = mark.await;
        let mut found = self.read_ids(mark, Instant::now()).await;
        for of in &in_log {
            found.add(&of.ids, of.at);
        }
        let count = found.ids.len();
        let now = (Instant::now(), std::time::Instant::now());
        let std_time = |(id, at): (RequestId, Instant)| {
            let age = now.0.saturating_duration_since(at);
            (id, now.1.checked_sub(age).unwrap_or(now.1))
        };
        let recalled = Recalled::new(key, found.ids.into_iter().map(std_time).collect());
        self.shared.lock().uncovered.recalled(in_log);
        self.shared.recalled.send_modify(|recalling| {
            recalling.get_or_insert(Ok(Arc::new(recalled)));
        });
        let millis = began.elapsed().as_millis();
        tracing::debug!(count, millis, "the ids of earlier requests are read");
    }

    /// Reads the ids that are only in the log so far: from what is covered up to the
    /// barrier of this tenure.
    async fn read_log(&self, opened: Opened) -> VecDeque<IdsOf> {
        let Opened {
            claimed,
            barrier,
            at,
        } = opened;
        let mut found: VecDeque<(u64, u64, Vec<RequestId>)> = VecDeque::new();
        let (mut count, mut end) = (0, 0);
        let mut next = claimed + 1;
        while next <= barrier {
            let read = self.persist(|| self.shared.log.read(next, READ_BYTES));
            let read = read.await;
            if read.is_empty() {
                sleep(BEHIND_INTERVAL).await;
            }
            for message in read {
                // What is not there any more is removed, perhaps with the barrier.
                if message.sequence > barrier {
                    next = barrier + 1;
                    break;
                }
                if message.sequence < next {
                    continue;
                }
                (next, end) = (message.sequence + 1, message.time);
                let ids = message.ids();
                if !ids.is_empty() {
                    count += ids.len();
                    found.push_back((message.sequence, message.time, ids));
                }
                let capacity = self.terms.capacity;
                while let Some((.., surplus)) =
                    found.pop_front_if(|(.., first)| count - first.len() >= capacity)
                {
                    count -= surplus.len();
                }
            }
        }
        let all = found.into_iter().map(|(sequence, time, ids)| IdsOf {
            sequence,
            at: before(at, age(end, time)),
            ids,
        });
        let window = self.terms.window;
        all.filter(|of| of.at.elapsed() <= window).collect()
    }

    /// Reads the log of ids up to this message of this tenure.
    async fn read_ids(&self, mark: u64, at: Instant) -> Found {
        let log = &*self.terms.log;
        let mut all: Vec<StoredIds> = Vec::new();
        let mut next = self.persist(|| log.first()).await;
        let end = loop {
            let read = self.persist(|| log.read(next)).await;
            if read.is_empty() {
                // It may be forgotten already, and so is everything before it.
                if self.persist(|| log.first()).await > mark {
                    break None;
                }
                sleep(BEHIND_INTERVAL).await;
            }
            for message in read {
                next = next.max(message.sequence + 1);
                all.push(message);
            }
            if next > mark {
                break all
                    .iter()
                    .find(|message| message.sequence == mark)
                    .map(|mark| mark.time);
            }
        };
        let mut found = Found {
            ids: VecDeque::new(),
            capacity: self.terms.capacity,
        };
        for message in all {
            let Some(end) = end else { break };
            let at = before(at, age(end, message.time) + message.age);
            if at.elapsed() <= self.terms.window {
                found.add(&message.ids, at);
            }
        }
        found
    }

    /// Stores ids for as long as there are new ones.
    async fn keep(&self) -> Infallible {
        let shared = self.shared;
        let mut last = Instant::now();
        loop {
            let is_new = shared.new_ids.notified();
            if !shared.lock().uncovered.is_due() {
                is_new.await;
                continue;
            }
            tokio::select! {
                () = sleep_until(last + INTERVAL) => {}
                () = shared.ids_wanted.notified() => {}
            }
            last = Instant::now();
            loop {
                let due = shared.lock().uncovered.due(last);
                let Some(due) = due else { break };
                let through = due.through;
                self.store(due).await;
                shared.lock().uncovered.cover(through);
            }
        }
    }

    async fn store(&self, due: Due) {
        let log = &*self.terms.log;
        for ids in due.ids.chunks(log.ids_max().max(1)) {
            self.persist(|| log.publish(ids.to_vec(), due.at.elapsed()))
                .await;
        }
    }

    /// Tries until it succeeds.
    async fn persist<'a, T>(&'a self, attempt: impl Fn() -> Answer<'a, Result<T, LogError>>) -> T {
        let began = Instant::now();
        loop {
            match attempt().await {
                Ok(done) => {
                    self.shared.set_ids_failure(None);
                    return done;
                }
                Err(LogError(reason)) if began.elapsed() >= TROUBLE_LIMIT => {
                    self.shared.set_ids_failure(Some(&reason));
                }
                Err(_) => {}
            }
            sleep(RETRY_INTERVAL).await;
        }
    }
}

impl Found {
    fn add(&mut self, ids: &[RequestId], at: Instant) {
        self.ids.extend(ids.iter().map(|id| (*id, at)));
        let surplus = self.ids.len().saturating_sub(self.capacity);
        self.ids.drain(..surplus);
    }
}

/// The time between two times of the servers, in nanoseconds.
const fn age(end: u64, time: u64) -> Duration {
    Duration::from_nanos(end.saturating_sub(time))
}

fn before(now: Instant, age: Duration) -> Instant {
    now.checked_sub(age).unwrap_or(now)
}
