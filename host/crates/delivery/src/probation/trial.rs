//! The trial of a sink on probation.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::excess::Excess;
use super::figures::{Figures, Usual};
use super::observed::Observed;
use crate::watch::{ProbationTerms, Verdict};

/// A sink is compared with its predecessor after this time, which it may need
/// to get going.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);
/// By how much a share of refused records must be larger than the
/// predecessor's.
pub(super) const REFUSALS_MARGIN: f64 = 0.05;
/// The share of refused records of a predecessor of which nothing is known.
pub(super) const REFUSALS_UNKNOWN: f64 = 0.5;
/// How often and how long a sink must ask to try again before it is doubted.
const ASKS_MIN: u32 = 3;
const ASKING_MIN: Duration = Duration::from_millis(500);
/// How long it may deliver nothing after it has asked, however often.
pub(super) const ASKING_MAX: Duration = Duration::from_secs(2);
/// How long a sink may fail as its predecessor did at last.
const EXCUSED: Duration = Duration::from_secs(10);
/// How often a trial that cannot end yet is looked at.
const EXTENSION: Duration = Duration::from_secs(1);

/// What is wrong with a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is the sink's own.
    Own(String),
    /// It broke, which may be the fault of the records.
    Breaks(String),
    /// It refuses records, which may be their own fault.
    Refuses(String),
    /// It may be that of the destination, which may recover.
    Destination(String),
}

#[derive(Debug)]
pub(super) struct Trial {
    pub(super) verdict: oneshot::Sender<Verdict>,
    terms: ProbationTerms,
    since: Instant,
    /// Whether the time that it may need to get going is over.
    is_warm: bool,
    ends: Instant,
    excess: Excess,
    /// What it asks since it last took something.
    asking: Option<Asking>,
    was_offered: bool,
    /// Whether it has confirmed something, and has not failed since.
    has_delivered: bool,
}

/// A sink only asks to try again.
#[derive(Debug)]
struct Asking {
    times: u32,
    since: Instant,
    reason: String,
}

impl Trial {
    pub(super) fn new(terms: ProbationTerms, verdict: oneshot::Sender<Verdict>) -> Self {
        let now = Instant::now();
        Self {
            verdict,
            terms,
            since: now,
            is_warm: false,
            ends: now + terms.time,
            excess: Excess::new(now),
            asking: None,
            was_offered: false,
            has_delivered: false,
        }
    }

    /// Records are about to be written to it.
    pub(super) const fn offered(&mut self) {
        self.was_offered = true;
    }

    pub(super) fn judge(
        &mut self,
        observed: &Observed,
        figures: &Figures,
        usual: Option<&Usual>,
        now: Instant,
    ) -> Option<Fault> {
        match observed {
            Observed::Nothing => None,
            Observed::Wrote {
                records, refused, ..
            } => {
                self.asking = None;
                self.has_delivered |= refused < records;
                if now < self.warm_at() {
                    self.excess = Excess::new(now);
                    return None;
                }
                let compared = usual.filter(|_| self.terms.compares_times);
                let is_slow = compared.zip(observed.timed()).and_then(|(usual, write)| {
                    let (offered, took) = write;
                    self.excess.add(offered, took, usual, now)
                });
                let refuses = || too_many_refusals(figures, usual).map(Fault::Refuses);
                is_slow.map(Fault::Own).or_else(refuses)
            }
            Observed::Broke(reason) => {
                self.has_delivered = false;
                Some(Fault::Breaks(reason.clone()))
            }
            Observed::Hung(_) | Observed::AsksAgain(_)
                if now < self.since + EXCUSED && usual.is_some_and(Usual::is_failing) =>
            {
                self.has_delivered = false;
                None
            }
            Observed::Hung(reason) => Some(Fault::Destination(reason.clone())),
            Observed::AsksAgain(reason) => {
                self.has_delivered = false;
                self.asked_again(reason, now)
            }
        }
    }

    /// Whether it has passed, or is at fault; `None` if that is not known yet.
    pub(super) fn tick(
        &mut self,
        figures: &Figures,
        usual: Option<&Usual>,
        now: Instant,
    ) -> Option<Result<(), Fault>> {
        // Producers that wait for the outcome of refused records send no more.
        if !self.is_warm && self.warm_at() <= now {
            self.is_warm = true;
            if let Some(reason) = too_many_refusals(figures, usual) {
                return Some(Err(Fault::Refuses(reason)));
            }
        }
        if let Some(asking) = &self.asking
            && asking.since + ASKING_MAX <= now
        {
            return Some(Err(Fault::Destination(asking.reason.clone())));
        }
        if now < self.ends {
            return None;
        }
        if self.was_offered && !self.has_delivered {
            self.ends = now + EXTENSION;
            return None;
        }
        Some(Ok(()))
    }

    /// When [`tick`](Self::tick) is due.
    pub(super) fn due_at(&self) -> Instant {
        let warm_at = (!self.is_warm).then(|| self.warm_at());
        let asking = self.asking.as_ref();
        let doubted_at = asking.map(|asking| asking.since + ASKING_MAX);
        let due = [warm_at, doubted_at].into_iter().flatten();
        due.fold(self.ends, Instant::min)
    }

    fn warm_at(&self) -> Instant {
        self.since + WARM_UP
    }

    fn asked_again(&mut self, reason: &str, now: Instant) -> Option<Fault> {
        let asking = self.asking.get_or_insert_with(|| Asking {
            times: 0,
            since: now,
            reason: String::new(),
        });
        asking.times += 1;
        reason.clone_into(&mut asking.reason);
        let is_long = now >= asking.since + ASKING_MIN;
        (asking.times >= ASKS_MIN && is_long).then(|| Fault::Destination(reason.to_owned()))
    }
}

/// Why a sink refuses too much, if it does.
pub(super) fn too_many_refusals(figures: &Figures, usual: Option<&Usual>) -> Option<String> {
    let usually = usual.and_then(|usual| usual.refused);
    let bound = usually.unwrap_or(REFUSALS_UNKNOWN) + REFUSALS_MARGIN;
    let rate = figures.refusals.beyond(bound)?;
    let before = match usually {
        Some(before) => format!("the sink before refused {:.1} %", before * 100.0),
        None => "nothing is known of the sink before".to_owned(),
    };
    let rate = rate * 100.0;
    Some(format!(
        "it refuses {rate:.1} % of the records; {before}; if that is intended, ask for it with \
         \"rollout\": {{\"probation_s\": 0}}"
    ))
}
