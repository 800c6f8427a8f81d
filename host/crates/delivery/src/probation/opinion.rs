//! What the predecessor of a doubted sink shows: it is offered first what the
//! other one has left.

use tokio::sync::oneshot;

use super::observed::Observed;
use super::trial::REFUSALS_MARGIN;
use crate::watch::Verdict;

/// What a sink is doubted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It broke.
    Breaks,
    /// It refused records.
    Refuses,
    /// It asked to try again, or hung.
    DeliversNothing,
}

/// What the predecessor has shown so far.
#[derive(Debug)]
pub(super) struct Opinion {
    pub(super) verdict: oneshot::Sender<Verdict>,
    about: Doubt,
    /// Whether it has failed in its turn, in a way that excuses the other one.
    has_failed: bool,
    /// Whether the last thing that it did was to answer for records.
    is_answering: bool,
    answered: usize,
    refused: usize,
}

/// What comes out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It delivers at once.
    Delivers,
    /// It had failed as well, and answers now.
    HadFailed,
    /// It refuses the same records.
    RefusesAsWell,
}

impl Opinion {
    /// `opened_late` if the predecessor could not be opened at first.
    pub(super) const fn new(
        verdict: oneshot::Sender<Verdict>,
        about: Doubt,
        opened_late: bool,
    ) -> Self {
        Self {
            verdict,
            about,
            has_failed: opened_late && matches!(about, Doubt::DeliversNothing),
            is_answering: false,
            answered: 0,
            refused: 0,
        }
    }

    pub(super) fn observe(&mut self, observed: &Observed) {
        match observed {
            Observed::Wrote {
                records, refused, ..
            } => {
                self.is_answering = true;
                self.answered = self.answered.saturating_add(*records);
                self.refused = self.refused.saturating_add(*refused);
            }
            // A destination that is away for a moment excuses nobody who breaks.
            Observed::AsksAgain(_) | Observed::Hung(_) => {
                self.is_answering = false;
                self.has_failed |= self.about == Doubt::DeliversNothing;
            }
            Observed::Broke(_) => {
                self.is_answering = false;
                self.has_failed = true;
            }
            Observed::Nothing => {}
        }
    }

    /// What it shows, once nothing is left of what the other sink has left;
    /// `None` while it delivers nothing.
    pub(super) fn finding(&self) -> Option<Finding> {
        let answered = u32::try_from(self.answered).unwrap_or(u32::MAX);
        let refused = u32::try_from(self.refused).unwrap_or(u32::MAX);
        let rate = f64::from(refused) / f64::from(answered.max(1));
        match self.is_answering {
            false => None,
            true if self.has_failed => Some(Finding::HadFailed),
            true if self.about == Doubt::Breaks => Some(Finding::Delivers),
            true if rate >= 1.0 - REFUSALS_MARGIN => Some(Finding::RefusesAsWell),
            true => Some(Finding::Delivers),
        }
    }
}
