//! Remembers what clients sent under ids of their own.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::identity::Hash;
use super::standing::{Earlier, Found, Outcome};

/// What one id takes at most, in bytes: a place in the tree (48, and nodes may be
/// less than half full), and one in the list, which grows by doubling (32).
pub(super) const ID_BYTES: usize = 192;

/// The ids that are under way, and the last ones that were settled.
#[derive(Debug)]
pub(super) struct Ids {
    capacity: usize,
    /// In milliseconds.
    window: i64,
    /// Times are milliseconds after this moment.
    base: Instant,
    known: BTreeMap<Hash, Known>,
    /// The order in which they were settled. An id that was settled again is here
    /// twice, and only the last counts.
    settled: VecDeque<Settled>,
    under_way: usize,
    settlements: u64,
}

#[derive(Clone, Copy, Debug)]
struct Settled {
    hash: Hash,
    /// The number of the settlement.
    settlement: u64,
    since: i64,
}

#[derive(Debug)]
struct Known {
    ticket: u64,
    /// The number of its last settlement, and when that was.
    settlement: u64,
    since: i64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    UnderWay {
        /// Whether the outcome of an attempt before is unknown.
        is_again: bool,
        /// Whether it is known from elsewhere that an attempt before is stored.
        is_stored: bool,
    },
    Acknowledged,
    Refused,
    Unknown,
}

impl Ids {
    pub(super) fn new(capacity: usize, window: Duration) -> Self {
        Self {
            capacity,
            window: i64::try_from(window.as_millis()).unwrap_or(i64::MAX),
            base: Instant::now(),
            known: BTreeMap::new(),
            settled: VecDeque::new(),
            under_way: 0,
            settlements: 0,
        }
    }

    /// What is known of an id; if nothing is, it is under way with this ticket
    /// from now on, if there is room for it.
    pub(super) fn begin(&mut self, hash: Hash, ticket: u64, now: Instant) -> Found {
        let now = self.time(now);
        self.expire(now);
        let window = self.window;
        let new = |is_again| State::UnderWay {
            is_again,
            is_stored: false,
        };
        // What was restored may be older than what was settled after it.
        let is_known = |known: &Known| {
            matches!(known.state, State::UnderWay { .. }) || !is_over(known.since, now, window)
        };
        let known = self.known.get_mut(&hash).filter(|known| is_known(known));
        let found = match known {
            None if self.under_way >= self.capacity => return Found::new(ticket),
            None => {
                let known = Known {
                    ticket,
                    settlement: 0,
                    since: now,
                    state: new(false),
                };
                self.known.insert(hash, known);
                Found::new(ticket)
            }
            Some(known) => match known.state {
                State::UnderWay { .. } => return Found::UnderWay(known.ticket),
                State::Acknowledged => return Found::Acknowledged(known.ticket),
                State::Unknown => {
                    known.state = new(true);
                    Found::Nothing(known.ticket, Some(Earlier::Unknown))
                }
                State::Refused => {
                    known.state = new(false);
                    known.ticket = ticket;
                    Found::Nothing(ticket, Some(Earlier::Refused))
                }
            },
        };
        self.under_way += 1;
        self.make_room();
        found
    }

    /// Remembers the outcome of what has this ticket.
    pub(super) fn settle(&mut self, hash: Hash, ticket: u64, outcome: Outcome, now: Instant) {
        let since = self.time(now);
        self.settle_since(hash, ticket, outcome, since);
    }

    fn settle_since(&mut self, hash: Hash, ticket: u64, outcome: Outcome, since: i64) {
        let known = self.known.get_mut(&hash);
        let Some(known) = known.filter(|known| known.ticket == ticket) else {
            return;
        };
        let State::UnderWay {
            is_again,
            is_stored,
        } = known.state
        else {
            // Late: an acknowledgement counts whenever it comes.
            if outcome == Outcome::Acknowledged {
                known.state = State::Acknowledged;
            }
            return;
        };
        self.under_way -= 1;
        known.state = match outcome {
            Outcome::Acknowledged => State::Acknowledged,
            Outcome::Refused => State::Refused,
            Outcome::Unknown | Outcome::NotTaken if is_stored => State::Acknowledged,
            Outcome::Unknown => State::Unknown,
            Outcome::NotTaken if is_again => State::Unknown,
            Outcome::NotTaken => {
                self.known.remove(&hash);
                return;
            }
        };
        self.settlements += 1;
        (known.settlement, known.since) = (self.settlements, since);
        self.settled.push_back(Settled {
            hash,
            settlement: self.settlements,
            since,
        });
    }

    /// Remembers an id that was acknowledged at this moment, whatever is known of it.
    pub(super) fn restore(&mut self, hash: Hash, ticket: u64, at: Instant) {
        match self.known.get_mut(&hash) {
            None => {
                self.begin(hash, ticket, at);
                self.settle(hash, ticket, Outcome::Acknowledged, at);
            }
            Some(Known {
                state: State::UnderWay { is_stored, .. },
                ..
            }) => *is_stored = true,
            Some(_) => self.settle_again(hash, at),
        }
    }

    /// What was settled is acknowledged too, at this moment if that is later.
    fn settle_again(&mut self, hash: Hash, at: Instant) {
        let at = self.time(at);
        let Some(known) = self.known.get_mut(&hash) else {
            return;
        };
        known.state = State::UnderWay {
            is_again: false,
            is_stored: true,
        };
        self.under_way += 1;
        let (ticket, since) = (known.ticket, known.since.max(at));
        self.settle_since(hash, ticket, Outcome::Acknowledged, since);
        self.make_room();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len().max(self.settled.len() + self.under_way)
    }

    fn time(&self, at: Instant) -> i64 {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.base) {
            Some(after) => millis(after),
            None => -millis(self.base.saturating_duration_since(at)),
        }
    }

    /// Forgets what was settled longer ago than the window.
    fn expire(&mut self, now: i64) {
        while let Some(first) = self.settled.front()
            && is_over(first.since, now, self.window)
        {
            self.forget_first();
        }
    }

    /// Forgets what was settled first.
    fn make_room(&mut self) {
        while self.under_way + self.settled.len() > self.capacity && !self.settled.is_empty() {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some(first) = self.settled.pop_front() else {
            return;
        };
        let known = self.known.get(&first.hash);
        let is_last = known.is_some_and(|known| {
            known.settlement == first.settlement && !matches!(known.state, State::UnderWay { .. })
        });
        if is_last {
            self.known.remove(&first.hash);
        }
    }
}

fn is_over(since: i64, now: i64, window: i64) -> bool {
    now.saturating_sub(since) > window
}
