//! What a connection is doing at the moment, and since when: in one atomic
//! number, because every request changes it several times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The clock of a server's connections. It counts the rounds in which they are
/// looked at, so reading it costs no system call.
#[derive(Debug, Default)]
pub(super) struct Rounds(AtomicU64);

impl Rounds {
    /// Begins the next round, and returns its number.
    pub(super) fn advance(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of this round.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The TLS handshake or the head of a request has not arrived completely.
    Head,
    /// It waits for the next request.
    Idle,
    /// A request is being answered.
    Busy,
    /// The answer is complete, but not all of it is written to the socket.
    Answered,
    /// It must end; nothing is served on it any more.
    Closed,
}

/// How many bits of the number hold the phase.
const PHASE_BITS: u32 = 3;

/// The phase of a connection, and the round in which it began.
#[derive(Debug)]
pub(super) struct Activity {
    state: AtomicU64,
    rounds: Arc<Rounds>,
}

impl Activity {
    /// That of a connection that was just accepted.
    pub(super) fn new(rounds: &Arc<Rounds>) -> Self {
        Self {
            state: AtomicU64::new(pack(Phase::Head, rounds.now())),
            rounds: Arc::clone(rounds),
        }
    }

    /// Bytes have arrived.
    pub(super) fn received(&self) {
        self.change(Phase::Idle, Phase::Head);
    }

    /// A request is about to be served. False if the connection must end
    /// instead.
    pub(super) fn begin(&self) -> bool {
        let busy = pack(Phase::Busy, self.rounds.now());
        let begun = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                (phase_of(state) != Phase::Closed).then_some(busy)
            });
        begun.is_ok()
    }

    /// The answer to the request is complete.
    pub(super) fn answered(&self) {
        self.change(Phase::Busy, Phase::Answered);
    }

    /// All that was to be written has been.
    pub(super) fn flushed(&self) {
        self.change(Phase::Answered, Phase::Idle);
    }

    /// Nothing is under way on a connection with several requests at a time.
    pub(super) fn rest(&self) {
        let (phase, _) = self.now();
        if phase != Phase::Closed {
            self.change(phase, Phase::Idle);
        }
    }

    /// The phase, and the round in which it began.
    pub(super) fn now(&self) -> (Phase, u64) {
        let state = self.state.load(Ordering::Relaxed);
        (phase_of(state), state >> PHASE_BITS)
    }

    /// Forbids further requests, if the connection still does what it did.
    pub(super) fn close(&self, (phase, since): (Phase, u64)) -> bool {
        let closed = pack(Phase::Closed, since);
        let changed = self.state.compare_exchange(
            pack(phase, since),
            closed,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        changed.is_ok()
    }

    fn change(&self, from: Phase, to: Phase) {
        let state = self.state.load(Ordering::Relaxed);
        if phase_of(state) == from {
            let to = pack(to, self.rounds.now());
            // If it fails, the connection was closed.
            _ = self
                .state
                .compare_exchange(state, to, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

const fn pack(phase: Phase, round: u64) -> u64 {
    (round << PHASE_BITS) | phase as u64
}

const fn phase_of(state: u64) -> Phase {
    match state & ((1 << PHASE_BITS) - 1) {
        0 => Phase::Head,
        1 => Phase::Idle,
        2 => Phase::Busy,
        3 => Phase::Answered,
        _ => Phase::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_through_all_phases() {
        let rounds = Arc::new(Rounds::default());
        let activity = Activity::new(&rounds);
        assert_eq!(activity.now(), (Phase::Head, 0));
        rounds.advance();
        activity.received();
        assert_eq!(activity.now(), (Phase::Head, 0));
        assert!(activity.begin());
        activity.received();
        activity.flushed();
        assert_eq!(activity.now(), (Phase::Busy, 1));
        activity.answered();
        assert_eq!(activity.now(), (Phase::Answered, 1));
        activity.flushed();
        assert_eq!(activity.now(), (Phase::Idle, 1));
        rounds.advance();
        activity.received();
        assert_eq!(activity.now(), (Phase::Head, 2));
    }

    #[test]
    fn a_connection_that_was_closed_begins_nothing() {
        let activity = Activity::new(&Arc::new(Rounds::default()));
        let before = activity.now();
        assert!(activity.begin());
        assert!(!activity.close(before), "it began meanwhile");
        activity.answered();
        activity.flushed();
        assert!(activity.close(activity.now()));
        assert!(!activity.begin());
        activity.received();
        assert_eq!(activity.now().0, Phase::Closed);
    }
}
