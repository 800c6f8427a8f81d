//! How a call into a sink can end.

use std::time::Duration;

use thiserror::Error;

use crate::retry_after::RetryAfter;

/// What a sink answered for a record or a batch that it did not take.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The record may be offered again.
    #[error("{reason}")]
    Retryable {
        /// Why, in the sink's words.
        reason: String,
        /// How long to wait before that, at least.
        after: Option<RetryAfter>,
    },
    /// The record must not be offered again.
    #[error("{0}")]
    Permanent(String),
    /// The destination knows a later leader.
    #[error("fenced: {0}")]
    Fenced(String),
}

/// A record of a batch that the sink did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The index in the batch.
    pub index: usize,
    /// Why.
    pub failure: Failure,
}

impl Refusal {
    /// Whether the record may be offered again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.failure, Failure::Retryable { .. })
    }
}

/// What limits the time that a sink may compute in a call.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TimeLimit {
    /// The limit of the sink's manifest: the call had its full time.
    #[error("limits.write_timeout_ms")]
    Manifest,
    /// The shorter limit that the caller set for a while.
    #[error("the shorter time that calls have for a while after an endless loop")]
    Shortened,
}

/// Why an instance can no longer be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Broken {
    /// Its code trapped: a panic, an abort, an access out of bounds.
    #[error("the sink trapped: {0}")]
    Trapped(String),
    /// Its code was still running when the time of the call was over.
    #[error("the sink was still computing after {} ms ({limit})", .after.as_millis())]
    Spinning {
        /// How long it could compute.
        after: Duration,
        /// Which limit that was.
        limit: TimeLimit,
    },
    /// It was waiting for the host (stdout, a file) when the time was over.
    #[error(
        "the sink was still waiting for its output after {} ms (limits.write_timeout_ms)",
        .0.as_millis()
    )]
    Stuck(Duration),
    /// It wanted more memory than it may have.
    #[error(
        "the sink hit its memory limit of {} MiB (limits.memory_mib, at most --max-memory) and \
         trapped: {cause}", .limit >> 20
    )]
    OutOfMemory {
        /// The limit in bytes.
        limit: usize,
        /// The trap that followed.
        cause: String,
    },
    /// The node does not permit what the sink needs.
    #[error("failed to {0}")]
    Denied(String),
    /// It broke a promise of the WIT.
    #[error("the sink broke its contract: {0}")]
    Contract(String),
}

impl Broken {
    /// Whether the records of the call may have broken it: it was stopped in its
    /// own code, not while it waited for its output.
    #[must_use]
    pub const fn suspects_records(&self) -> bool {
        !matches!(self, Self::Stuck(_) | Self::Denied(_))
    }

    /// Whether it was still computing when its time was over, and this limit
    /// had set that time.
    #[must_use]
    pub fn spun_until(&self, which: TimeLimit) -> bool {
        matches!(self, Self::Spinning { limit, .. } if *limit == which)
    }
}

/// Why a call failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WriteError {
    /// The sink answered so, and can be used further.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The instance can no longer be used.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl WriteError {
    /// The least time that the sink asks to wait before the next attempt.
    #[must_use]
    pub const fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Failed(Failure::Retryable { after, .. }) => *after,
            _ => None,
        }
    }
}
