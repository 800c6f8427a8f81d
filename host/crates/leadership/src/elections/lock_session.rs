//! The session that this node takes the lock under.

use crate::command::Command;
use crate::intervals::RENEWAL_INTERVAL;
use sluice_types::clock::BootTime;

#[derive(Debug)]
pub(super) enum LockSession {
    None {
        retry: BootTime,
    },
    Creating,
    Held {
        id: String,
        renew: BootTime,
        is_renewing: bool,
    },
}

impl LockSession {
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Held { id, .. } => Some(id),
            _ => None,
        }
    }

    /// A session was created; if not, creating it is tried again at `retry`.
    pub(super) fn created(&mut self, now: BootTime, created: Option<String>, retry: BootTime) {
        *self = match created {
            Some(id) => Self::Held {
                id,
                renew: now + RENEWAL_INTERVAL,
                is_renewing: false,
            },
            None => Self::None { retry },
        };
    }

    /// Notes the end of a renewal. Returns whether it was of this session.
    pub(super) fn renewal_ended(&mut self, of: &str) -> bool {
        match self {
            Self::Held {
                id, is_renewing, ..
            } if id == of => {
                *is_renewing = false;
                true
            }
            _ => false,
        }
    }

    /// Schedules the next renewal, if there is a session.
    pub(super) fn renew_at(&mut self, time: BootTime) {
        if let Self::Held { renew, .. } = self {
            *renew = time;
        }
    }

    /// Gives the session up. The next one is created from `retry` on.
    pub(super) fn retire(&mut self, retry: BootTime) -> Option<String> {
        let Self::Held { id, .. } = self else {
            return None;
        };
        let id = std::mem::take(id);
        *self = Self::None { retry };
        Some(id)
    }

    /// When something is due; `may_create` says whether a session may be
    /// created.
    pub(super) const fn wake(&self, may_create: bool) -> Option<BootTime> {
        match self {
            Self::None { retry } if may_create => Some(*retry),
            Self::Held {
                renew,
                is_renewing: false,
                ..
            } => Some(*renew),
            _ => None,
        }
    }

    /// Does what is due.
    pub(super) fn advance(&mut self, now: BootTime, may_create: bool) -> Option<Command> {
        if self.wake(may_create).is_none_or(|due| now < due) {
            return None;
        }
        match self {
            Self::Held {
                id, is_renewing, ..
            } => {
                *is_renewing = true;
                let session = id.clone();
                Some(Command::Renew { session })
            }
            _ => {
                *self = Self::Creating;
                Some(Command::CreateSession)
            }
        }
    }
}
