//! What a sink is watched for, and the verdict.

use std::time::Duration;

use tokio::sync::oneshot;

/// What the sink that takes over is watched for.
#[derive(Debug)]
pub enum Watch {
    /// Nothing: it has proved to work.
    Nothing,
    /// Whether it does clearly worse than the last sink that was watched for
    /// nothing.
    Probation {
        /// How long, and what counts.
        terms: ProbationTerms,
        /// Gets one verdict.
        verdict: oneshot::Sender<Verdict>,
    },
    /// Whether it delivers what another sink has left.
    SecondOpinion {
        /// Whether it could not be opened at first.
        has_failed: bool,
        /// Gets one verdict.
        verdict: oneshot::Sender<Verdict>,
    },
}

/// How a sink is judged on probation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbationTerms {
    /// How long.
    pub time: Duration,
    /// Whether the times of its writes count: its destination is that of the other
    /// sink.
    pub compares_times: bool,
}

/// What became of a sink that was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Probation: it did well until the end.
    Passed,
    /// Probation: it is at fault, for this reason.
    Failed(String),
    /// Probation: this went wrong, which may be the fault of the records or of the
    /// destination.
    Doubted(String),
    /// Second opinion: it delivers at once, so the other sink is at fault.
    Delivers,
    /// Second opinion: it answers for records now, and the other sink is not to
    /// blame, or deserves another trial.
    Acquits,
}
