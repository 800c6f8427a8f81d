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
/// How often in a row there must be a reason before a connection moves: one may
/// be a pause of the machine.
const REASONS: u32 = 4;
/// How long the load of all threads is measured before it is used.
const WINDOW: Duration = Duration::from_millis(200);
/// A thread that is busy for less than this part of the time takes connections.
const FREE: f64 = 0.8;
/// Two threads that are busy for less than this part of one thread's time, taken
/// together, become one.
const JOINT: f64 = 0.6;

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

/// The load of one thread.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// For how long it had been busy when it was looked at.
    busy: Duration,
    /// The part of the time before that, from 0 to 1.
    part: f64,
}

impl Balance {
    /// That of the thread with this number. The others count as busy until their
    /// load was measured.
    pub(super) fn new(own: usize, busy: impl IntoIterator<Item = Duration>, now: Instant) -> Self {
        let threads = busy.into_iter().map(|busy| Load { busy, part: 1.0 });
        Self {
            own,
            reasons: 0,
            sampled_at: now,
            turns: 0,
            turn: Duration::ZERO,
            threads: threads.collect(),
        }
    }

    /// The thread that the next connection moves to, if any should, after so many
    /// turns since it was asked last. `waited` is how long a task had to wait for
    /// its turn just now, and `busy` for how long each thread has been busy so far.
    pub(super) fn next(
        &mut self,
        turns: u32,
        waited: Duration,
        now: Instant,
        busy: impl IntoIterator<Item = Duration>,
    ) -> Option<usize> {
        self.turns = self.turns.saturating_add(turns);
        self.measure(now, busy);
        let own = self.threads.get(self.own)?;
        if waited <= WAIT_MAX && (own.is_free() || self.turn <= LONG_TURN) {
            self.reasons = 0;
            return self.less_used(*own);
        }
        self.reasons = self.reasons.saturating_add(1);
        if self.reasons < REASONS {
            return None;
        }
        let free = self.threads.iter().position(Load::is_free);
        free.filter(|free| *free != self.own)
    }

    fn measure(&mut self, now: Instant, busy: impl IntoIterator<Item = Duration>) {
        let passed = now.saturating_duration_since(self.sampled_at);
        if passed < WINDOW {
            return;
        }
        for (load, busy) in self.threads.iter_mut().zip(busy) {
            load.part = busy.saturating_sub(load.busy).div_duration_f64(passed);
            load.busy = busy;
        }
        self.sampled_at = now;
        self.turn = passed / std::mem::take(&mut self.turns).max(1);
    }

    /// A thread before this one that can do the work of both.
    fn less_used(&self, own: Load) -> Option<usize> {
        let mut before = self.threads.iter().take(self.own);
        before.position(|load| load.part + own.part < JOINT)
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

    /// Three threads that are busy for these parts of the time, seen from one of
    /// them, and where its connections go when they wait for so long.
    fn next(own: usize, parts: [f64; 3], turns: u32, waits: &[Duration]) -> Vec<Option<usize>> {
        let began = Instant::now();
        let mut balance = Balance::new(own, [Duration::ZERO; 3], began);
        let busy = || parts.map(|part| WINDOW.mul_f64(part));
        let waits = waits.iter();
        let asked = waits.map(|waited| balance.next(turns, *waited, began + WINDOW, busy()));
        asked.collect()
    }

    #[test]
    fn connections_stay_while_they_need_not_wait() {
        assert_eq!(next(0, [1.0, 0.0, 0.0], MANY, &[SHORT; 9]), [None; 9]);
    }

    #[test]
    fn they_move_to_the_first_free_thread_after_some_long_waits() {
        let waits = [LONG, LONG, LONG, SHORT, LONG, LONG];
        let moved = next(0, [1.0, 0.9, 0.7], MANY, &waits);
        assert_eq!(moved, [None; 6], "not all waits were long");
        let moved = next(0, [1.0, 0.9, 0.7], MANY, &[LONG; 5]);
        assert_eq!(moved, [None, None, None, Some(2), Some(2)]);
        let moved = next(2, [0.3, 0.2, 1.0], MANY, &[LONG; 4]);
        assert_eq!(moved.last(), Some(&Some(0)));
    }

    #[test]
    fn they_move_without_a_wait_if_their_turns_take_long_and_the_thread_has_no_time() {
        let moved = next(0, [1.0, 0.7, 0.7], 64, &[SHORT; 5]);
        assert_eq!(moved, [None, None, None, Some(1), Some(1)]);
        assert_eq!(next(0, [0.7, 0.1, 0.1], 64, &[SHORT; 9]), [None; 9]);
    }

    #[test]
    fn they_stay_if_all_threads_are_busy() {
        assert_eq!(next(0, [1.0, 0.9, 0.8], MANY, &[LONG; 9]), [None; 9]);
    }

    #[test]
    fn a_thread_whose_connections_wait_although_it_is_not_busy_keeps_them() {
        assert_eq!(next(0, [0.2, 0.1, 0.1], MANY, &[LONG; 9]), [None; 9]);
    }

    #[test]
    fn they_return_once_one_thread_is_enough() {
        assert_eq!(next(1, [0.3, 0.2, 0.0], MANY, &[SHORT]), [Some(0)]);
        assert_eq!(next(1, [0.5, 0.2, 0.0], MANY, &[SHORT]), [None]);
        assert_eq!(next(2, [0.5, 0.2, 0.2], MANY, &[SHORT]), [Some(1)]);
        assert_eq!(next(0, [0.1, 0.1, 0.1], MANY, &[SHORT]), [None]);
    }

    #[test]
    fn nothing_moves_before_the_load_is_known() {
        let began = Instant::now();
        let mut balance = Balance::new(0, [Duration::ZERO; 2], began);
        let before = began + WINDOW / 2;
        for _ in 0..9 {
            assert_eq!(balance.next(MANY, LONG, before, [Duration::ZERO; 2]), None);
        }
        let moved = balance.next(MANY, LONG, began + WINDOW, [WINDOW, Duration::ZERO]);
        assert_eq!(moved, Some(1));
    }
}
