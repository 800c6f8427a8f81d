//! Remembers the signatures that were used, so that none is used twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::signature::{MAX_CLOCK_DIFFERENCE, Verified, unix_millis};

/// The most signatures that are remembered, about 8 MiB. Only those who know the
/// secret can add one. It is more than 2000 requests per second.
const MOST_REMEMBERED: usize = 1 << 18;

/// For how long after the start signatures from before it could be recent, even
/// if a clock is wrong.
const FIRST_TIME: Duration = MAX_CLOCK_DIFFERENCE.saturating_mul(2);

/// The signatures that were used and could still be recent.
#[derive(Debug)]
pub(crate) struct Replays {
    /// When this process began to remember, by both clocks.
    since: (Instant, u64),
    used: Mutex<Used>,
}

/// By the second in which they were made.
#[derive(Debug, Default)]
struct Used {
    seconds: BTreeMap<u64, HashSet<u128>>,
    count: usize,
}

/// Why a signature cannot be used, although it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It was used before, or may have been.
    Used,
    /// There is no room to remember it.
    Full,
}

impl Replays {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            since: (Instant::now(), unix_millis()),
            used: Mutex::default(),
        }
    }

    /// Takes a signature that was not used before.
    ///
    /// # Errors
    /// Why it cannot be used. A signature from before the process started may
    /// have been used then.
    pub(crate) fn admit(&self, signature: Verified) -> Result<(), Replay> {
        let (started, since) = self.since;
        if started.elapsed() < FIRST_TIME && signature.millis < since {
            return Err(Replay::Used);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget_before(oldest_recent(unix_millis()));
        used.add(signature, MOST_REMEMBERED)
    }
}

/// The earliest second of which a signature may still be recent.
const fn oldest_recent(now_millis: u64) -> u64 {
    (now_millis / 1000).saturating_sub(MAX_CLOCK_DIFFERENCE.as_secs() + 1)
}

impl Used {
    fn add(&mut self, signature: Verified, most: usize) -> Result<(), Replay> {
        let Verified { millis, id } = signature;
        let second = self.seconds.entry(millis / 1000).or_default();
        if second.contains(&id) {
            return Err(Replay::Used);
        }
        if self.count >= most {
            return Err(Replay::Full);
        }
        second.insert(id);
        self.count += 1;
        Ok(())
    }

    fn forget_before(&mut self, second: u64) {
        while let Some(oldest) = self.seconds.first_entry()
            && *oldest.key() < second
        {
            self.count -= oldest.remove().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn signature(millis: u64, id: u128) -> Verified {
        Verified { millis, id }
    }

    #[test]
    fn a_signature_is_used_once() {
        let replays = Replays::new();
        let now = unix_millis() + 1;
        assert_eq!(replays.admit(signature(now, 1)), Ok(()));
        assert_eq!(replays.admit(signature(now, 1)), Err(Replay::Used));
        assert_eq!(replays.admit(signature(now, 2)), Ok(()));
    }

    #[test]
    fn a_signature_from_before_the_start_is_not_used_again() {
        let replays = Replays::new();
        let before = signature(replays.since.1 - 1, 1);
        assert_eq!(replays.admit(before), Err(Replay::Used));
    }

    #[test]
    fn signatures_are_remembered_as_long_as_they_are_recent_and_no_longer() {
        let mut used = Used::default();
        let made = 1_000_000_999;
        used.add(signature(made, 1), 2).unwrap();
        let lifetime = u64::try_from(MAX_CLOCK_DIFFERENCE.as_millis()).unwrap();
        used.forget_before(oldest_recent(made + lifetime));
        assert_eq!(used.add(signature(made, 1), 2), Err(Replay::Used));
        used.forget_before(oldest_recent(made + lifetime + 2000));
        assert_eq!(used.count, 0);
    }

    #[test]
    fn what_cannot_be_remembered_is_refused() {
        let mut used = Used::default();
        assert_eq!(used.add(signature(5000, 1), 2), Ok(()));
        assert_eq!(used.add(signature(9000, 2), 2), Ok(()));
        assert_eq!(used.add(signature(9000, 3), 2), Err(Replay::Full));
        assert_eq!(used.add(signature(9000, 2), 2), Err(Replay::Used));
        used.forget_before(6);
        assert_eq!(used.add(signature(9000, 3), 2), Ok(()));
    }
}
