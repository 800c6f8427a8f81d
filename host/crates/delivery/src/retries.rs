//! Records that failed for now. Each waits for its own time while others are
//! written, unless nothing succeeds: then the sink is in doubt, and is left alone
//! but for one trial at a time.

use std::time::Duration;

use tokio::time::Instant;

use crate::isolation::Piece;
use sluice_types::backoff::Backoff;
use sluice_types::retry_after::RetryAfter;

/// The first wait between attempts at the same records.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest wait, unless the sink asks for a longer one.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What waits to be offered again, in the order in which it failed.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    waiting: Vec<Waiting>,
    doubt: Option<Doubt>,
}

#[derive(Debug)]
struct Waiting {
    piece: Piece,
    due: Instant,
}

/// Writes failed, and nothing has succeeded since.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// Until when the sink is left alone.
    until: Instant,
    /// Whether something new is tried next: the piece that failed last has
    /// failed before, so it may be at fault itself.
    prefers_fresh: bool,
}

impl Retries {
    pub(crate) const fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether only one write at a time may begin.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// Until when nothing may begin.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.doubt.map(|doubt| doubt.until)
    }

    pub(crate) fn prefers_fresh(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt.prefers_fresh)
    }

    /// When the first piece is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// Keeps a piece that is due now.
    pub(crate) fn add(&mut self, piece: Piece) {
        let due = Instant::now();
        self.waiting.push(Waiting { piece, due });
    }

    /// A piece failed, and others may succeed. It waits for its own time.
    pub(crate) fn failed_alone(&mut self, piece: Piece, at_least: Option<RetryAfter>) {
        let due = Instant::now() + own_wait(&piece, at_least);
        self.waiting.push(Waiting { piece, due });
    }

    /// A piece failed, and nothing else succeeds. The sink is left alone for
    /// this time. Returns the end of it.
    pub(crate) fn failed(&mut self, piece: Piece, wait: Duration) -> Instant {
        let now = Instant::now();
        let until = now + wait;
        let until = self
            .paused_until()
            .map_or(until, |before| before.max(until));
        self.doubt = Some(Doubt {
            until,
            prefers_fresh: piece.batch.offers > 1,
        });
        let due = until.max(now + own_wait(&piece, None));
        self.waiting.push(Waiting { piece, due });
        until
    }

    /// The sink works.
    pub(crate) fn succeeded(&mut self) {
        self.doubt = None;
    }

    /// Another sink takes the records: all of them are due.
    pub(crate) fn restart(&mut self) {
        self.doubt = None;
        let now = Instant::now();
        for waiting in &mut self.waiting {
            waiting.due = now;
        }
    }

    /// Takes all pieces, in the order in which they failed.
    pub(crate) fn take_all(&mut self) -> impl DoubleEndedIterator<Item = Piece> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|waiting| waiting.piece)
    }

    /// Takes the piece that is due first, whether that time has come or not.
    pub(crate) fn take(&mut self) -> Option<Piece> {
        let first = self.waiting.iter().enumerate();
        let (place, _) = first.min_by_key(|(_, waiting)| waiting.due)?;
        Some(self.waiting.remove(place).piece)
    }

    /// Drops what no producer waits for any more. If nothing is left, the sink
    /// need not be left alone either.
    pub(crate) fn drop_abandoned(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.piece.is_wanted());
        if self.waiting.is_empty()
            && before > 0
            && let Some(doubt) = &mut self.doubt
        {
            doubt.until = Instant::now();
        }
    }

    /// Remembers for all that waits what keeps it from being confirmed.
    pub(crate) fn set_last_error(&self, error: &str) {
        for waiting in &self.waiting {
            waiting.piece.batch.set_last_error(error);
        }
    }
}

/// How long a piece waits that was offered this often.
fn own_wait(piece: &Piece, at_least: Option<RetryAfter>) -> Duration {
    let failures = piece.batch.offers.saturating_sub(1);
    Backoff::new(BACKOFF_MIN, BACKOFF_MAX)
        .after(failures)
        .next(at_least)
}
