//! What is logged of clients. Each of them can cause it as often as it likes, so
//! there is at most one line in a while.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The least time between two lines of the same kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets a line through once in a while.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    at: Option<Instant>,
    skipped: u64,
}

impl Seldom {
    /// How many lines were skipped before this one; `None` to skip it.
    pub(super) fn passes(&self) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_some_and(|at| at.elapsed() < PAUSE) {
            last.skipped += 1;
            return None;
        }
        last.at = Some(Instant::now());
        Some(std::mem::take(&mut last.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_and_those_behind_it_are_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.passes(), Some(0));
        assert_eq!(seldom.passes(), None);
        assert_eq!(seldom.passes(), None);
        seldom.last.lock().unwrap().at = Instant::now().checked_sub(PAUSE);
        assert_eq!(seldom.passes(), Some(2));
    }
}
