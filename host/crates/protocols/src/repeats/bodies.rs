//! Remembers bodies whose answer may not have reached the client.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::identity::Hash;
use super::standing::{Earlier, Found, Outcome, Standing};

/// What one body takes at most, in bytes: a place in the tree (56, and nodes may
/// be less than half full), and one in the list, which grows by doubling (32).
pub(super) const BODY_BYTES: usize = 256;
/// For how long a body is remembered. Clients that try again do so sooner.
pub const WINDOW: Duration = Duration::from_secs(120);

/// Bodies that a retry can match, each once.
#[derive(Debug)]
pub(super) struct Bodies {
    capacity: usize,
    /// By hash and ticket: equal bodies are several.
    lost: BTreeMap<(Hash, u64), Lost>,
    /// The order in which the answers were lost. What was matched may still be here.
    order: VecDeque<Place>,
    losses: u64,
}

#[derive(Debug)]
struct Lost {
    since: Instant,
    /// The number of this loss.
    loss: u64,
    standing: Standing,
}

#[derive(Debug)]
struct Place {
    key: (Hash, u64),
    loss: u64,
}

impl Bodies {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            lost: BTreeMap::new(),
            order: VecDeque::new(),
            losses: 0,
        }
    }

    /// Takes the first of the bodies with this hash.
    pub(super) fn begin(&mut self, hash: Hash, ticket: u64, now: Instant) -> Found {
        self.expire(now);
        while let Some((&key, _)) = self.lost.range((hash, 0)..=(hash, u64::MAX)).next() {
            let Some(lost) = self.lost.remove(&key) else {
                break;
            };
            let (_, earlier) = key;
            match lost.standing {
                // Clocks of several threads are not read in order.
                _ if is_over(lost.since, now) => {}
                Standing::UnderWay => return Found::UnderWay(earlier),
                Standing::Acknowledged => return Found::Acknowledged(earlier),
                Standing::Unknown => return Found::Nothing(earlier, Some(Earlier::Unknown)),
            }
        }
        Found::new(ticket)
    }

    /// Remembers that the answer may not have reached the client.
    pub(super) fn lose(&mut self, hash: Hash, ticket: u64, standing: Standing, now: Instant) {
        self.expire(now);
        if self.capacity == 0 {
            return;
        }
        self.losses += 1;
        let (key, loss) = ((hash, ticket), self.losses);
        let lost = Lost {
            since: now,
            loss,
            standing,
        };
        self.lost.insert(key, lost);
        self.order.push_back(Place { key, loss });
        if self.order.len() > self.capacity {
            self.forget_first();
        }
    }

    /// Notes the outcome of what has this ticket.
    pub(super) fn settle(&mut self, hash: Hash, ticket: u64, outcome: Outcome, now: Instant) {
        let lost = self.lost.get_mut(&(hash, ticket));
        match (outcome, lost) {
            (Outcome::Acknowledged, Some(lost)) => lost.standing = Standing::Acknowledged,
            (Outcome::Acknowledged, None) => {}
            (Outcome::Unknown, Some(lost)) if lost.standing == Standing::UnderWay => {
                lost.standing = Standing::Unknown;
            }
            (Outcome::Unknown, Some(_)) => {}
            (Outcome::Unknown, None) => self.lose(hash, ticket, Standing::Unknown, now),
            (Outcome::Refused | Outcome::NotTaken, _) => {
                self.lost.remove(&(hash, ticket));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lost.len().max(self.order.len())
    }

    fn expire(&mut self, now: Instant) {
        while let Some(place) = self.order.front() {
            let lost = self.lost.get(&place.key);
            let lost = lost.filter(|lost| lost.loss == place.loss);
            if lost.is_some_and(|lost| !is_over(lost.since, now)) {
                return;
            }
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(Place { key, loss }) = self.order.pop_front()
            && self.lost.get(&key).is_some_and(|lost| lost.loss == loss)
        {
            self.lost.remove(&key);
        }
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) > WINDOW
}
