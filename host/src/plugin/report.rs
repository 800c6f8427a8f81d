//! What the controller and the stream report to each other.

use std::sync::Arc;

use super::candidate::Candidate;

/// The sinks that could run: the wanted one first, then the last one that is
/// known to work, if that is another.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The sink to open first: the one that is asked for, if it could be
    /// prepared.
    pub(crate) wanted: Arc<Candidate>,
    /// The sink to open if that fails.
    pub(crate) good: Option<Arc<Candidate>>,
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
    /// It did not open.
    Failed {
        /// The sink.
        candidate: Arc<Candidate>,
        /// The reason, as `open` gave it.
        error: String,
        /// Whether the stream tries again by itself.
        retrying: bool,
    },
    /// This node has started to lead, and no sink runs yet.
    Opening,
    /// This node no longer leads.
    Standby,
}
