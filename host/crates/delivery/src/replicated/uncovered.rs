//! The ids of stored messages, and up to which message they are in the log of ids.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::id_log::RequestId;

/// Ids whose ages differ by this much are kept with one age, that of the youngest.
const SAME_AGE: Duration = Duration::from_secs(1);

/// Ids that are only in the log so far.
#[derive(Debug)]
pub(super) struct Uncovered {
    /// How many ids are remembered; with 0, none.
    capacity: usize,
    window: Duration,
    /// The last message that is stored.
    end: u64,
    opened: Option<Opened>,
    is_recalled: bool,
    waiting: VecDeque<IdsOf>,
    count: usize,
}

/// How this tenure has opened the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// The messages up to this one are covered, as the log says.
    pub(super) claimed: u64,
    /// The first message of this tenure.
    pub(super) barrier: u64,
    /// When that was stored.
    pub(super) at: Instant,
}

/// The ids of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdsOf {
    pub(super) sequence: u64,
    /// When it was stored.
    pub(super) at: Instant,
    pub(super) ids: Vec<RequestId>,
}

/// Ids that are to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) ids: Vec<RequestId>,
    /// When the youngest of them was stored.
    pub(super) at: Instant,
    /// The message that the last of them came with.
    pub(super) through: u64,
}

impl Uncovered {
    pub(super) const fn new(capacity: usize, window: Duration) -> Self {
        Self {
            capacity,
            window,
            end: 0,
            opened: None,
            is_recalled: false,
            waiting: VecDeque::new(),
            count: 0,
        }
    }

    /// The log is open.
    pub(super) const fn opened(&mut self, opened: Opened) {
        self.end = opened.barrier;
        self.opened = Some(opened);
    }

    /// How this tenure has opened the log, if it has.
    pub(super) const fn opening(&self) -> Option<Opened> {
        self.opened
    }

    /// A message is stored.
    pub(super) fn stored(&mut self, sequence: u64, ids: Vec<RequestId>, now: Instant) {
        self.end = sequence;
        if !ids.is_empty() {
            self.count += ids.len();
            self.waiting.push_back(IdsOf {
                sequence,
                at: now,
                ids,
            });
            self.bound();
        }
    }

    /// These are in the log since before it was opened.
    pub(super) fn recalled(&mut self, found: VecDeque<IdsOf>) {
        let later = std::mem::replace(&mut self.waiting, found);
        self.waiting.extend(later);
        self.count = self.waiting.iter().map(|of| of.ids.len()).sum();
        self.is_recalled = true;
        self.bound();
    }

    /// The messages up to this one are covered: their ids are in the log of ids, or
    /// too old.
    pub(super) fn covered(&mut self, now: Instant) -> u64 {
        let is_over = |since: Instant| now.saturating_duration_since(since) > self.window;
        // A tenure takes no ids before it knows those in the log.
        let are_all_old = self.opened.is_some_and(|opened| is_over(opened.at));
        if self.capacity == 0 || !(self.is_recalled || are_all_old) {
            return self.opened.map_or(0, |opened| opened.claimed);
        }
        while let Some(old) = self.waiting.pop_front_if(|of| is_over(of.at)) {
            self.count -= old.ids.len();
        }
        self.waiting
            .front()
            .map_or(self.end, |first| first.sequence - 1)
    }

    /// The messages before this one may be removed, as far as ids go.
    pub(super) fn removable(&mut self, now: Instant) -> u64 {
        match self.capacity {
            0 => u64::MAX,
            _ => self.covered(now) + 1,
        }
    }

    /// Whether any ids are not covered.
    pub(super) fn is_due(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The first ids that are not covered, which are of about the same age; `None` if
    /// none was stored before `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        self.covered(now);
        let first = self.waiting.front()?.at;
        let is_due = |of: &&IdsOf| of.at <= now && of.at.duration_since(first) <= SAME_AGE;
        let run = || self.waiting.iter().take_while(is_due);
        let last = run().last()?;
        Some(Due {
            ids: run().flat_map(|of| &of.ids).copied().collect(),
            at: last.at,
            through: last.sequence,
        })
    }

    /// The ids up to this message are in the log of ids.
    pub(super) fn cover(&mut self, through: u64) {
        while let Some(covered) = self.waiting.pop_front_if(|of| of.sequence <= through) {
            self.count -= covered.ids.len();
        }
    }

    /// Forgets the oldest ids that are too many to be remembered.
    fn bound(&mut self) {
        while self.count > self.capacity
            && let Some(first) = self.waiting.front_mut()
        {
            let surplus = (self.count - self.capacity).min(first.ids.len());
            first.ids.drain(..surplus);
            self.count -= surplus;
            if first.ids.is_empty() {
                self.waiting.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn id(number: u8) -> RequestId {
        [number; 16]
    }

    fn open(capacity: usize, now: Instant) -> Uncovered {
        let mut uncovered = Uncovered::new(capacity, WINDOW);
        uncovered.opened(Opened {
            claimed: 3,
            barrier: 7,
            at: now,
        });
        uncovered
    }

    #[test]
    fn what_is_covered_ends_before_the_first_id_that_is_only_in_the_log() {
        let now = Instant::now();
        let mut uncovered = open(10, now);
        uncovered.stored(8, Vec::new(), now);
        assert_eq!(uncovered.covered(now), 3, "the log before is not read");
        let of = |sequence, ids: Vec<u8>| IdsOf {
            sequence,
            at: now,
            ids: ids.into_iter().map(id).collect(),
        };
        uncovered.recalled([of(5, vec![1, 2])].into());
        assert_eq!(uncovered.covered(now), 4);
        uncovered.stored(9, vec![id(3)], now);
        uncovered.stored(10, Vec::new(), now);
        let due = uncovered.due(now).unwrap();
        assert_eq!((due.ids, due.through), (vec![id(1), id(2), id(3)], 9));
        uncovered.stored(11, vec![id(4)], now);
        uncovered.cover(9);
        assert_eq!((uncovered.covered(now), uncovered.removable(now)), (10, 11));
        uncovered.cover(11);
        assert_eq!(uncovered.covered(now), 11);
        assert_eq!(uncovered.due(now), None);
    }

    #[test]
    fn ids_that_are_old_or_too_many_hold_up_nothing() {
        let now = Instant::now();
        let mut uncovered = open(2, now);
        uncovered.recalled(VecDeque::new());
        uncovered.stored(8, vec![id(1), id(2)], now);
        uncovered.stored(9, vec![id(3)], now + WINDOW);
        // Each with its own age.
        let due = uncovered.due(now + WINDOW).unwrap();
        assert_eq!((due.ids, due.at, due.through), (vec![id(2)], now, 8));
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!(uncovered.covered(later), 8);
        assert_eq!(uncovered.covered(later + WINDOW), 9);
        // Those before the barrier cannot be younger than it.
        let mut uncovered = open(2, now);
        assert_eq!(uncovered.removable(now + WINDOW), 4);
        assert_eq!(uncovered.removable(later), 8);
        let mut off = open(0, now);
        assert_eq!((off.covered(now), off.removable(now)), (3, u64::MAX));
    }
}
