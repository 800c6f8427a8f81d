//! Whether a leader without answers is the only node without them.

use std::time::Duration;

use sluice_types::clock::BootTime;

/// How long after the end of its lease a leader asks the other nodes. Consul may
/// be electing its own leader.
const SILENCE_LIMIT: Duration = Duration::from_millis(1250);
/// After others have seen the lock, the time for a proof of its own: Consul may
/// just be back.
const DOUBT: Duration = Duration::from_millis(500);
/// The pause before others are asked again.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How far the question is.
#[derive(Debug, Default)]
pub(super) enum Isolation {
    /// Nobody is asked, and will not be before `next`.
    #[default]
    Unasked,
    /// Nobody saw the lock; they are asked again then.
    Unseen { next: BootTime },
    /// The other nodes are being asked.
    Asking,
    /// Another node saw the lock. If no proof comes until then, it is released.
    Doubting { until: BootTime },
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Ask the other nodes whether they see the lock.
    Ask,
    /// The others reach Consul, and this node does not.
    GiveUp,
}

impl Isolation {
    /// What is due. `lease_end` is that of the lease that ended last, if this node
    /// leads.
    pub(super) fn advance(&mut self, now: BootTime, lease_end: Option<BootTime>) -> Due {
        let is_silent = lease_end.is_some_and(|end| now >= end + SILENCE_LIMIT);
        match self {
            // Its answer says which question it belongs to.
            Self::Asking => Due::Nothing,
            _ if !is_silent => {
                *self = Self::Unasked;
                Due::Nothing
            }
            Self::Unseen { next } if now < *next => Due::Nothing,
            Self::Unasked | Self::Unseen { .. } => {
                *self = Self::Asking;
                Due::Ask
            }
            Self::Doubting { until } if now < *until => Due::Nothing,
            Self::Doubting { .. } => {
                *self = Self::Unasked;
                Due::GiveUp
            }
        }
    }

    /// The others have answered; returns whether a proof of its own is wanted now.
    pub(super) fn answered(&mut self, now: BootTime, is_seen: bool) -> bool {
        if !matches!(self, Self::Asking) {
            return false;
        }
        *self = match is_seen {
            true => Self::Doubting { until: now + DOUBT },
            false => Self::Unseen {
                next: now + ASK_INTERVAL,
            },
        };
        is_seen
    }

    /// When something is due.
    pub(super) fn wake(&self, lease_end: Option<BootTime>) -> Option<BootTime> {
        let end = lease_end?;
        match self {
            Self::Unasked => Some(end + SILENCE_LIMIT),
            Self::Unseen { next } => Some(*next),
            Self::Asking => None,
            Self::Doubting { until } => Some(*until),
        }
    }
}
