//! Compares a sink with its predecessor.

use std::time::Duration;

use tokio::time::Instant;

use super::figures::{Figures, Usual};
use super::observed::Observed;
use super::opinion::{Doubt, Finding, Opinion};
use super::trial::{Fault, REFUSALS_UNKNOWN, Trial, too_many_refusals};
use crate::watch::{Verdict, Watch};

/// How long the next sink is waited for after a verdict that calls for one.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often a sink may be acquitted. The next doubt condemns it, so that two sinks
/// do not change places for ever.
const ACQUITTALS_MAX: u32 = 3;

/// Watches the sink that takes the records.
#[derive(Debug)]
pub(super) struct Judge {
    /// Of the current sink.
    figures: Figures,
    /// Of the sink that the current one is compared with, or of the current one
    /// before others were tried out in its place.
    usual: Option<Usual>,
    state: State,
    /// What the sink on probation was doubted for last.
    doubt: Doubt,
    /// How often it was acquitted.
    acquittals: u32,
    /// The share of records that the doubted sink refused.
    doubted_refused: Option<f64>,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The sink that it gave its opinion on comes back, to be compared with the
    /// same figures.
    Acquitted,
    Probation(Trial),
    SecondOpinion(Opinion),
    /// The verdict calls for another sink.
    GivesWay {
        /// The other one is waited for until then; `None` once it is not.
        paused_until: Option<Instant>,
    },
}

impl Judge {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            figures: Figures::default(),
            usual: None,
            state: State::of(watch, Doubt::Breaks),
            doubt: Doubt::Breaks,
            acquittals: 0,
            doubted_refused: None,
        }
    }

    /// Another sink takes the records.
    pub(super) fn switched(&mut self, watch: Watch) {
        let is_tried_out = !matches!(watch, Watch::Nothing);
        match self.state {
            State::Idle if is_tried_out => {
                let usual = self.figures.usual();
                self.usual = Some(usual.or(self.usual.take()));
            }
            // Not the predecessor: one that comes for good.
            State::Idle | State::Probation(_) if !is_tried_out => self.usual = None,
            _ => {}
        }
        if matches!(self.state, State::Idle) {
            self.acquittals = 0;
        }
        self.doubted_refused = self.figures.refusals.rate();
        self.figures = Figures::default();
        self.state = State::of(watch, self.doubt);
    }

    /// Records are about to be written to the sink.
    pub(super) const fn offered(&mut self) {
        if let State::Probation(trial) = &mut self.state {
            trial.offered();
        }
    }

    pub(super) fn observe(&mut self, observed: &Observed) {
        self.figures.add(observed);
        match &mut self.state {
            State::Probation(trial) => {
                let now = Instant::now();
                let fault = trial.judge(observed, &self.figures, self.usual.as_ref(), now);
                if let Some(fault) = fault {
                    self.blame(fault);
                }
            }
            State::SecondOpinion(opinion) => opinion.observe(observed),
            State::Idle | State::Acquitted | State::GivesWay { .. } => {}
        }
    }

    /// Ends what has lasted long enough. `is_clear` if nothing is left of what the
    /// sink before has left.
    pub(super) fn tick(&mut self, is_clear: bool) {
        let now = Instant::now();
        match &mut self.state {
            State::Probation(trial) => match trial.tick(&self.figures, self.usual.as_ref(), now) {
                Some(Ok(())) => {
                    self.usual = None;
                    self.conclude(Verdict::Passed, State::Idle);
                }
                Some(Err(fault)) => self.blame(fault),
                None => {}
            },
            State::SecondOpinion(opinion) if is_clear => {
                if let Some(finding) = opinion.finding() {
                    self.conclude_opinion(finding);
                }
            }
            State::GivesWay { paused_until } => {
                *paused_until = paused_until.filter(|until| now < *until);
            }
            _ => {}
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match &self.state {
            State::Probation(trial) => Some(trial.due_at()),
            State::GivesWay { paused_until } => *paused_until,
            State::Idle | State::Acquitted | State::SecondOpinion(_) => None,
        }
    }

    pub(super) const fn paused_until(&self) -> Option<Instant> {
        match &self.state {
            State::GivesWay { paused_until } => *paused_until,
            _ => None,
        }
    }

    /// No other sink comes.
    pub(super) const fn end_pause(&mut self) {
        if let State::GivesWay { paused_until } = &mut self.state {
            *paused_until = None;
        }
    }

    /// Whether the sink is to be replaced, because of a verdict.
    pub(super) const fn gives_way(&self) -> bool {
        matches!(self.state, State::GivesWay { .. })
    }

    /// Whether the predecessor may come back.
    pub(super) const fn may_be_replaced(&self) -> bool {
        matches!(self.state, State::Probation(_) | State::GivesWay { .. })
    }

    /// Whether the predecessor might take what the sink refuses.
    pub(super) fn mistrusts_refusals(&self) -> bool {
        let usually = self.usual.as_ref().and_then(|usual| usual.refused);
        let is_usual = || {
            let usually = usually.filter(|usually| *usually > 0.0);
            usually.is_some_and(|usually| self.figures.refusals.is_within(usually))
        };
        self.gives_way() || self.may_be_replaced() && !is_usual()
    }

    /// So many refusals are kept back that a verdict on them is due.
    pub(super) fn hold_fills(&mut self) {
        if matches!(self.state, State::Probation(_))
            && let Some(reason) = too_many_refusals(&self.figures, self.usual.as_ref())
        {
            self.blame(Fault::Refuses(reason));
        }
    }

    /// The sink on probation is at fault.
    fn blame(&mut self, fault: Fault) {
        let verdict = match fault {
            Fault::Own(reason) => Verdict::Failed(reason),
            Fault::Breaks(reason) => self.doubted(Doubt::Breaks, reason),
            Fault::Refuses(reason) => self.doubted(Doubt::Refuses, reason),
            Fault::Destination(reason) => self.doubted(Doubt::DeliversNothing, reason),
        };
        let paused_until = Some(Instant::now() + PAUSE_MAX);
        self.conclude(verdict, State::GivesWay { paused_until });
    }

    fn doubted(&mut self, doubt: Doubt, reason: String) -> Verdict {
        self.doubt = doubt;
        match self.acquittals {
            0..ACQUITTALS_MAX => Verdict::Doubted(reason),
            _ => Verdict::Failed(format!(
                "{reason}; before that it was in doubt {ACQUITTALS_MAX} times"
            )),
        }
    }

    fn conclude_opinion(&mut self, finding: Finding) {
        if finding == Finding::RefusesAsWell
            && let Some(doubted) = self.doubted_refused
        {
            // Both refuse these records, so the same share is no news.
            let usual = self.usual.get_or_insert_default();
            let share = doubted.min(REFUSALS_UNKNOWN);
            usual.refused = Some(usual.refused.map_or(share, |usually| usually.max(share)));
        }
        // Its destination may have recovered just then.
        let is_spared = self.doubt == Doubt::DeliversNothing && self.acquittals == 0;
        if finding == Finding::Delivers && !is_spared {
            return self.conclude(Verdict::Delivers, State::Idle);
        }
        self.acquittals += 1;
        self.conclude(Verdict::Acquits, State::Acquitted);
    }

    fn conclude(&mut self, verdict: Verdict, next: State) {
        let to = match std::mem::replace(&mut self.state, next) {
            State::Probation(trial) => trial.verdict,
            State::SecondOpinion(opinion) => opinion.verdict,
            State::Idle | State::Acquitted | State::GivesWay { .. } => return,
        };
        // If nobody waits for it, the tenure is over.
        drop(to.send(verdict));
    }
}

impl State {
    /// `doubt` is what a second opinion is about.
    fn of(watch: Watch, doubt: Doubt) -> Self {
        match watch {
            Watch::Nothing => Self::Idle,
            Watch::Probation { terms, verdict } => Self::Probation(Trial::new(terms, verdict)),
            Watch::SecondOpinion {
                verdict,
                has_failed,
            } => Self::SecondOpinion(Opinion::new(verdict, doubt, has_failed)),
        }
    }
}

#[cfg(test)]
mod tests;
