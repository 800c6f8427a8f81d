//! What the checks found, for people and for programs.

use std::time::Duration;

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// As it must be.
    Passed,
    /// Allowed, but the author should know.
    Noted,
    /// The sink breaks a promise.
    Failed,
    /// It could not be checked.
    Skipped,
}

/// One check, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) outcome: Outcome,
    /// What was seen, and what to do about it.
    pub(crate) detail: String,
}

/// How fast the sink was with records of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Speed {
    pub(crate) records: &'static str,
    pub(crate) count: usize,
    /// In a second.
    pub(crate) rate: f64,
    /// Of one record.
    pub(crate) nanoseconds: f64,
}

/// All about a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The bytes of the component.
    pub(crate) size: usize,
    /// In milliseconds.
    pub(crate) compiled_in_ms: u64,
    /// The version of the WIT, as in `sluice:sink@0.2.0`.
    pub(crate) world: Option<String>,
    /// The interfaces that it imports.
    pub(crate) imports: Vec<String>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) speed: Vec<Speed>,
    /// The most memory of an instance, in bytes.
    pub(crate) peak_memory: usize,
    /// The first of what it printed to stdout.
    pub(crate) stdout: Vec<String>,
    /// The first of what it printed to stderr, and of what the node would log.
    pub(crate) log: Vec<String>,
}

impl Outcome {
    /// As it is shown at the begin of a line.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Noted => "note",
            Self::Failed => "FAIL",
            Self::Skipped => "skip",
        }
    }
}

impl Finding {
    pub(super) fn passed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Passed, detail)
    }

    pub(super) fn noted(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Noted, detail)
    }

    pub(super) fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Failed, detail)
    }

    pub(super) fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, detail)
    }

    fn new(check: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            check,
            outcome,
            detail,
        }
    }
}

impl Speed {
    pub(super) fn new(records: &'static str, count: usize, took: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
        let records_made = count as f64;
        let seconds = took.as_secs_f64().max(1e-9);
        Self {
            records,
            count,
            rate: records_made / seconds,
            nanoseconds: seconds * 1e9 / records_made.max(1.0),
        }
    }
}

impl Report {
    /// How many checks ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        let same = |finding: &&Finding| finding.outcome == outcome;
        self.findings.iter().filter(same).count()
    }
}
