//! Makes failures.

use std::time::Duration;

use crate::{Failure, Retry};

impl Failure {
    /// Not now: the host offers the records again, by its own schedule. For a
    /// destination that is away, busy or full.
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::retry(reason, None)
    }

    /// Not now, and not again before this time is over. The host waits for 60 s
    /// at most.
    pub fn retry_after(reason: impl Into<String>, after: Duration) -> Self {
        Self::retry(reason, Some(after))
    }

    /// Never: the producer is told, and the records are not offered again.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent(reason.into())
    }

    /// A later leader is at work: the destination has seen a higher epoch than
    /// that of this delivery. The host stops leading.
    pub fn fenced(reason: impl Into<String>) -> Self {
        Self::Fenced(reason.into())
    }

    /// The config cannot be used: `field` is the path of the wrong field, such as
    /// `headers.accept`, and `problem` says what is expected.
    pub fn config(field: &str, problem: impl AsRef<str>) -> Self {
        Self::permanent(format!("config.{field}: {}", problem.as_ref()))
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retryable(retry) => &retry.reason,
            Self::Permanent(reason) | Self::Fenced(reason) => reason,
        }
    }

    /// Whether the host offers the records again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable(_))
    }

    /// The same failure with another reason.
    #[must_use]
    pub fn map_reason(mut self, change: impl FnOnce(&str) -> String) -> Self {
        match &mut self {
            Self::Retryable(Retry { reason, .. })
            | Self::Permanent(reason)
            | Self::Fenced(reason) => {
                *reason = change(reason);
            }
        }
        self
    }

    pub(crate) fn retry(reason: impl Into<String>, after: Option<Duration>) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self::Retryable(Retry {
            reason: reason.into(),
            after_ms: after.map(milliseconds),
        })
    }
}

impl From<std::io::Error> for Failure {
    /// For a destination that may be back soon.
    fn from(error: std::io::Error) -> Self {
        Self::retryable(error.to_string())
    }
}
