//! What the controller and the stream report to each other.

use std::sync::Arc;
use std::time::Duration;

use super::candidate::Candidate;
use sluice_delivery::{ProbationTerms, Verdict};

/// The sinks that could run: the wanted one first, then the last one that is
/// known to work, if that is another.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The sink to open first: the one that is asked for, if it could be
    /// prepared.
    pub(crate) wanted: Arc<Candidate>,
    /// What to watch that sink for.
    pub(crate) watch: WatchFor,
    /// The sink to open if that fails.
    pub(crate) good: Option<Arc<Candidate>>,
    /// The sink that was taken back, to open if nothing else does.
    pub(crate) last_resort: Option<Arc<Candidate>>,
}

/// What a sink is watched for once it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchFor {
    /// Nothing.
    Nothing,
    /// Whether it does as well as the last good one, for this time.
    Probation(ProbationTerms),
    /// Whether it delivers what a sink on probation has left.
    SecondOpinion,
    /// Nothing, because no other sink opens. It proves nothing.
    LastResort,
}

impl Choice {
    /// Whether the other one has the very same candidates.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let is_same_good = match (&self.good, &other.good) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        is_same_good && Arc::ptr_eq(&self.wanted, &other.wanted)
    }
}

/// What happened to a sink on this node while it leads.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    /// It is open and takes records.
    Running(Arc<Candidate>),
    /// The same, and it is on probation for this time.
    OnProbation(Arc<Candidate>, Duration),
    /// It takes records although it was taken back, because no other sink opens.
    LastResort(Arc<Candidate>),
    /// It was watched, and this came out.
    Judged(Arc<Candidate>, Verdict),
    /// It did not open.
    Failed {
        /// The sink.
        candidate: Arc<Candidate>,
        /// The reason, as `open` gave it.
        error: String,
        /// Whether the stream tries again by itself.
        retrying: bool,
        /// Whether that is the sink's own fault, and not its destination's.
        is_own_fault: bool,
    },
    /// This node has started to lead, and no sink runs yet.
    Opening,
    /// This node no longer leads.
    Standby,
}
