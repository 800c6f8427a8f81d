//! Remembers what clients sent under ids of their own.

use std::collections::{BTreeMap, VecDeque};

use super::identity::Hash;
use super::standing::{Earlier, Found, Outcome};

/// What one id takes at most, in bytes: a place in the tree (40, and nodes may be
/// less than half full), and one in the list, which grows by doubling (24).
pub(super) const ID_BYTES: usize = 192;

/// The ids that are under way, and the last ones that were settled.
#[derive(Debug)]
pub(super) struct Ids {
    capacity: usize,
    known: BTreeMap<Hash, Known>,
    /// The order in which they were settled, with the number of the settlement. An
    /// id that was settled again is here twice, and only the last counts.
    settled: VecDeque<(Hash, u64)>,
    under_way: usize,
    settlements: u64,
}

#[derive(Debug)]
struct Known {
    ticket: u64,
    /// The number of its last settlement.
    settlement: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    UnderWay {
        /// Whether the outcome of an attempt before is unknown.
        is_again: bool,
    },
    Acknowledged,
    Refused,
    Unknown,
}

impl Ids {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: BTreeMap::new(),
            settled: VecDeque::new(),
            under_way: 0,
            settlements: 0,
        }
    }

    /// What is known of an id; if nothing is, it is under way with this ticket
    /// from now on, if there is room for it.
    pub(super) fn begin(&mut self, hash: Hash, ticket: u64) -> Found {
        let found = match self.known.get_mut(&hash) {
            None if self.under_way >= self.capacity => return Found::new(ticket),
            None => {
                let known = Known {
                    ticket,
                    settlement: 0,
                    state: State::UnderWay { is_again: false },
                };
                self.known.insert(hash, known);
                Found::new(ticket)
            }
            Some(known) => match known.state {
                State::UnderWay { .. } => return Found::UnderWay(known.ticket),
                State::Acknowledged => return Found::Acknowledged(known.ticket),
                State::Unknown => {
                    known.state = State::UnderWay { is_again: true };
                    Found::Nothing(known.ticket, Some(Earlier::Unknown))
                }
                State::Refused => {
                    known.state = State::UnderWay { is_again: false };
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
    pub(super) fn settle(&mut self, hash: Hash, ticket: u64, outcome: Outcome) {
        let known = self.known.get_mut(&hash);
        let Some(known) = known.filter(|known| known.ticket == ticket) else {
            return;
        };
        let State::UnderWay { is_again } = known.state else {
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
            Outcome::Unknown => State::Unknown,
            Outcome::NotTaken if is_again => State::Unknown,
            Outcome::NotTaken => {
                self.known.remove(&hash);
                return;
            }
        };
        self.settlements += 1;
        known.settlement = self.settlements;
        self.settled.push_back((hash, self.settlements));
    }

    /// Remembers an id that was acknowledged, unless it is known.
    pub(super) fn restore(&mut self, hash: Hash, ticket: u64) {
        if !self.known.contains_key(&hash) {
            self.begin(hash, ticket);
            self.settle(hash, ticket, Outcome::Acknowledged);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len().max(self.settled.len() + self.under_way)
    }

    /// Forgets what was settled first.
    fn make_room(&mut self) {
        while self.under_way + self.settled.len() > self.capacity {
            let Some((hash, settlement)) = self.settled.pop_front() else {
                return;
            };
            let known = self.known.get(&hash);
            let is_last = known.is_some_and(|known| {
                known.settlement == settlement && !matches!(known.state, State::UnderWay { .. })
            });
            if is_last {
                self.known.remove(&hash);
            }
        }
    }
}
