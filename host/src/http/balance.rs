//! Decides which thread serves a connection next.
//!
//! A thread that sleeps and is woken costs more than a small request, so that two
//! threads with half of the work each need a quarter more of the processors than
//! one with all of it (`docs/performance.md`). Therefore a thread gives
//! connections to another one only if they wait for their turn for too long, or
//! if it has no more time and a turn costs so much that waking another thread
//! hardly matters. It takes them back once both have little to do.

use std::time::{Duration, Instant};

/// The longest that a connection should wait for its turn.
const WAIT_MAX: Duration = Duration::from_millis(2);
/// A turn that takes longer is worth another thread.
const LONG_TURN: Duration = Duration::from_micros(25);
/// How often in a row there must be a reason before connections move: one may
/// be a pause of the machine.
const REASONS: u32 = 4;
/// How long the load of all threads is measured before it is used, and how long a
/// decision is good.
pub(super) const WINDOW: Duration = Duration::from_millis(200);
/// A thread that is busy for less than this part of the time takes connections.
const FREE: f64 = 0.8;
/// Two threads that are busy for less than this part of one thread's time, taken
/// together, become one.
const JOINT: f64 = 0.6;
/// For how many turns of connections one of them moves. The effect of each is to be
/// seen before many have.
pub(super) const TURNS_PER_MOVE: u32 = 64;

/// What one thread knows of the load of all.
#[derive(Debug)]
pub(super) struct Balance {
    own: usize,
    reasons: u32,
    sampled_at: Instant,
    /// Turns of this thread's connections since then.
    turns: u32,
    /// How long one took before that.
    turn: Duration,
    threads: Vec<Load>,
}

/// What is read of a thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// For how long it has been busy so far.
    pub(super) busy: Duration,
    /// How many connections had a turn in its last window.
    pub(super) active: u32,
}

/// The load of one thread.
#[derive(Clone, Copy, Debug)]
struct Load {
    read: Reading,
    /// The part of the time before that in which it was busy, from 0 to 1. Moves
    /// that were decided since then are included.
    part: f64,
}

/// Connections are to move to this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) thread: usize,
    /// So many.
    pub(super) moves: u32,
}

impl Balance {
    /// That of the thread with this number. The others count as busy until their
    /// load was measured.
    pub(super) fn new(own: usize, threads: impl Iterator<Item = Reading>, now: Instant) -> Self {
        Self {
            own,
            reasons: 0,
            sampled_at: now,
            turns: 0,
            turn: Duration::ZERO,
            threads: threads.map(|read| Load { read, part: 1.0 }).collect(),
        }
    }

    /// Whether it is time to measure the load.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sampled_at) >= WINDOW
    }

    /// Measures the load since it was measured last.
    pub(super) fn measure(&mut self, threads: impl Iterator<Item = Reading>, now: Instant) {
        let passed = now.saturating_duration_since(self.sampled_at);
        for (load, read) in self.threads.iter_mut().zip(threads) {
            let busy = read.busy.saturating_sub(load.read.busy);
            *load = Load {
                read,
                part: busy.div_duration_f64(passed),
            };
        }
        self.sampled_at = now;
        self.turn = passed / std::mem::take(&mut self.turns).max(1);
    }

    /// Whether connections are to move, after so many turns since this was asked
    /// last. `waited` is how long a task had to wait for its turn just now.
    pub(super) fn decide(&mut self, turns: u32, waited: Duration) -> Option<Decision> {
        self.turns = self.turns.saturating_add(turns);
        let own = *self.threads.get(self.own)?;
        let moves = (turns / TURNS_PER_MOVE).max(1);
        if waited <= WAIT_MAX && (own.is_free() || self.turn <= LONG_TURN) {
            self.reasons = 0;
            return self.moved(self.less_used(own)?, moves);
        }
        self.reasons = self.reasons.saturating_add(1);
        if self.reasons < REASONS {
            return None;
        }
        match self.threads.iter().position(Load::is_free) {
            Some(free) if free != self.own => self.moved(free, moves),
            None if waited > WAIT_MAX => self.less_crowded(own, moves),
            _ => None,
        }
    }

    /// A thread before this one that can do the work of both.
    fn less_used(&self, own: Load) -> Option<usize> {
        let mut before = self.threads.iter().take(self.own);
        before.position(|load| load.part + own.part < JOINT)
    }

    /// If all are busy, a thread with less than half of the connections, so that
    /// none waits much longer than others.
    fn less_crowded(&mut self, own: Load, moves: u32) -> Option<Decision> {
        let (thread, least) = self
            .threads
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, load)| load.read.active)?;
        if least.read.active.checked_mul(2)? >= own.read.active {
            return None;
        }
        let moves = moves.min((own.read.active - least.read.active) / 4).max(1);
        least.read.active += moves;
        self.threads.get_mut(self.own)?.read.active -= moves;
        Some(Decision { thread, moves })
    }

    /// Accounts for moves before they can be measured: as many as leave the other
    /// thread free.
    fn moved(&mut self, thread: usize, moves: u32) -> Option<Decision> {
        let room = FREE - self.threads.get(thread)?.part;
        let own = self.threads.get_mut(self.own)?;
        // What a connection takes of this thread.
        let share = own.part / f64::from(own.read.active.max(1));
        let fitting = (1..=moves).take_while(|moves| f64::from(*moves) * share <= room);
        let moves = fitting.last().unwrap_or(1).min(own.read.active.max(1));
        own.part -= f64::from(moves) * share;
        own.read.active = own.read.active.saturating_sub(moves);
        let other = self.threads.get_mut(thread)?;
        other.part += f64::from(moves) * share;
        other.read.active = other.read.active.saturating_add(moves);
        Some(Decision { thread, moves })
    }
}

impl Load {
    const fn is_free(&self) -> bool {
        self.part < FREE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(500);
    const LONG: Duration = Duration::from_millis(3);
    /// So many that none takes long.
    const MANY: u32 = 100_000;

    /// Three threads that are busy for these parts of the time, with so many
    /// connections, seen from one of them after so many turns.
    fn balance(own: usize, loads: [(f64, u32); 3], turns: u32) -> Balance {
        let began = Instant::now();
        let none = [Reading {
            busy: Duration::ZERO,
            active: 0,
        }; 3];
        let mut balance = Balance::new(own, none.into_iter(), began);
        balance.turns = turns;
        let readings = loads.map(|(part, active)| Reading {
            busy: WINDOW.mul_f64(part),
            active,
        });
        balance.measure(readings.into_iter(), began + WINDOW);
        balance
    }

    /// Where connections go when they wait for so long.
    fn threads(mut balance: Balance, waits: &[Duration]) -> Vec<Option<usize>> {
        let waits = waits.iter();
        let decided = waits.map(|waited| balance.decide(1, *waited));
        decided.map(|decision| Some(decision?.thread)).collect()
    }

    const ALONE: [(f64, u32); 3] = [(1.0, 100), (0.0, 0), (0.0, 0)];

    #[test]
    fn connections_stay_while_they_need_not_wait() {
        assert_eq!(threads(balance(0, ALONE, MANY), &[SHORT; 9]), [None; 9]);
    }

    #[test]
    fn they_move_to_the_first_free_thread_after_some_long_waits() {
        let loads = [(1.0, 100), (0.9, 100), (0.7, 100)];
        let waits = [LONG, LONG, LONG, SHORT, LONG, LONG];
        let moved = threads(balance(0, loads, MANY), &waits);
        assert_eq!(moved, [None; 6], "not all waits were long");
        let moved = threads(balance(0, loads, MANY), &[LONG; 5]);
        assert_eq!(moved, [None, None, None, Some(2), Some(2)]);
        let loads = [(0.3, 100), (0.2, 100), (1.0, 100)];
        let moved = threads(balance(2, loads, MANY), &[LONG; 4]);
        assert_eq!(moved.last(), Some(&Some(0)));
    }

    #[test]
    fn they_move_without_a_wait_if_their_turns_take_long_and_the_thread_has_no_time() {
        let moved = threads(balance(0, ALONE, 64), &[SHORT; 5]);
        assert_eq!(moved, [None, None, None, Some(1), Some(1)]);
        let loads = [(0.7, 100), (0.1, 0), (0.1, 0)];
        assert_eq!(threads(balance(0, loads, 64), &[SHORT; 9]), [None; 9]);
    }

    #[test]
    fn so_many_move_that_the_other_thread_stays_free_and_no_more_before_it_is_seen() {
        let mut balance = balance(0, ALONE, MANY);
        balance.reasons = REASONS;
        let mut total = 0;
        while let Some(decision) = balance.decide(1000, LONG) {
            assert_eq!(decision.thread, 1);
            assert!(
                (1..=1000 / TURNS_PER_MOVE).contains(&decision.moves),
                "{decision:?}"
            );
            total += decision.moves;
            assert!(total <= 100, "{balance:?}");
        }
        // Each takes a hundredth, until one of both is free and less crowded.
        assert!((15..=85).contains(&total), "{total}");
        assert!(balance.threads[1].part <= FREE + 0.01, "{balance:?}");
    }

    #[test]
    fn if_all_are_busy_they_move_to_where_there_are_less_than_half_as_many() {
        let moved = threads(
            balance(0, [(1.0, 100), (0.9, 51), (0.8, 60)], MANY),
            &[LONG; 9],
        );
        assert_eq!(moved, [None; 9]);
        let crowded = [(1.0, 1000), (0.9, 500), (0.9, 40)];
        let moved = threads(balance(0, crowded, MANY), &[LONG; 4]);
        assert_eq!(moved.last(), Some(&Some(2)));
        let moved = threads(balance(0, crowded, 64), &[SHORT; 9]);
        assert_eq!(moved, [None; 9], "they need not wait");
    }

    #[test]
    fn a_thread_whose_connections_wait_although_it_is_not_busy_keeps_them() {
        let loads = [(0.2, 100), (0.1, 10), (0.1, 10)];
        assert_eq!(threads(balance(0, loads, MANY), &[LONG; 9]), [None; 9]);
    }

    #[test]
    fn they_return_once_one_thread_is_enough() {
        let first = |own, parts: [f64; 3]| {
            let loads = parts.map(|part| (part, 10));
            threads(balance(own, loads, MANY), &[SHORT])[0]
        };
        assert_eq!(first(1, [0.3, 0.2, 0.0]), Some(0));
        assert_eq!(first(1, [0.5, 0.2, 0.0]), None);
        assert_eq!(first(2, [0.5, 0.2, 0.2]), Some(1));
        assert_eq!(first(0, [0.1, 0.1, 0.1]), None);
    }

    #[test]
    fn nothing_moves_before_the_load_is_known() {
        let began = Instant::now();
        let none = [Reading {
            busy: Duration::ZERO,
            active: 100,
        }; 2];
        let mut balance = Balance::new(0, none.into_iter(), began);
        assert!(!balance.is_due(began + WINDOW / 2));
        for _ in 0..9 {
            assert_eq!(balance.decide(MANY, LONG), None);
        }
        assert!(balance.is_due(began + WINDOW));
    }
}
