//! The lock while this node holds it: its acquisition, its lease, and the
//! proofs that extend the lease.

use std::time::Duration;

use super::found::Found;
use crate::command::StreamCommand;
use crate::intervals::{RENEWAL_INTERVAL, RETRY_INTERVAL, SHORT_RETRY_INTERVAL};
use crate::lock::{CLEAN, Lock};
use crate::loss::Loss;
use crate::take::Take;
use sluice_types::clock::BootTime;

/// How often the session is renewed while nothing proves that the lock is held.
const UNPROVEN_RENEWAL_INTERVAL: Duration = Duration::from_secs(1);
/// After a lease has been over for this long, renewals show whether Consul is
/// available: a Consul that lost its quorum no longer answers any.
const UNPROVEN_LIMIT: Duration = Duration::from_secs(3);
/// If every renewal succeeds for this long after that, the lock is released. A
/// Consul that has just come back is given this time to prove it.
const RENEWED_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct HeldLock {
    pub(super) epoch: u64,
    /// Holds the lock.
    pub(super) session: String,
    /// The acquisition.
    pub(super) modify_index: u64,
    /// The flags of the key while it is held.
    flags: u64,
    found: Found,
    /// The lease is valid in this span of the clock.
    from: BootTime,
    pub(super) until: BootTime,
    lease: Duration,
    /// Since when every renewal has succeeded, long after the lease ended.
    only_renewed: Option<BootTime>,
}

/// What follows from the answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// When the session is renewed next.
    pub(crate) next: BootTime,
    /// Whether the session was renewed for too long without a proof.
    pub(crate) is_in_vain: bool,
}

impl HeldLock {
    /// The lock that was taken at this index by an attempt sent at `sent`.
    pub(super) fn new(
        now: BootTime,
        sent: BootTime,
        take: Take,
        modify_index: u64,
        found: Found,
        lease: Duration,
    ) -> Self {
        Self {
            epoch: take.epoch,
            session: take.session,
            modify_index,
            flags: take.flags,
            found,
            from: now + found.wait(lease),
            until: sent + lease,
            lease,
            only_renewed: None,
        }
    }

    pub(super) const fn lead(&self) -> StreamCommand {
        StreamCommand::Lead {
            epoch: self.epoch,
            from: self.from,
            until: self.until,
        }
    }

    /// Whether the read shows the very acquisition of this tenure.
    pub(super) fn is_shown_by(&self, lock: &Lock) -> bool {
        lock.key.as_ref().is_some_and(|key| {
            key.modify_index == self.modify_index && key.session.as_ref() == Some(&self.session)
        })
    }

    /// Why the lock was lost, by a read that does not show the acquisition.
    pub(super) fn loss_shown_by(&self, lock: &Lock) -> Loss {
        Loss::shown_by(lock, &self.session, self.flags)
    }

    /// The flags to release with. Once its own wait is over, no earlier node
    /// can be at work, and the lease is revoked before any release: the lock is
    /// clean. Until then the holder before may still acknowledge, so the next
    /// node must find what this one found.
    pub(super) fn release_flags(&self, now: BootTime) -> u64 {
        if now >= self.from {
            CLEAN
        } else {
            self.found.flags
        }
    }

    /// The session was renewed (`Some(true)`), is not known (`Some(false)`),
    /// or there was no answer.
    pub(super) fn renewed(&mut self, now: BootTime, exists: Option<bool>) -> Renewal {
        match exists {
            Some(true) if now >= self.until => Renewal {
                next: now + UNPROVEN_RENEWAL_INTERVAL,
                is_in_vain: self.is_renewed_in_vain(now),
            },
            Some(true) => Renewal {
                next: now + RENEWAL_INTERVAL,
                is_in_vain: false,
            },
            Some(false) | None => {
                self.only_renewed = None;
                Renewal {
                    next: now + RETRY_INTERVAL,
                    is_in_vain: false,
                }
            }
        }
    }

    fn is_renewed_in_vain(&mut self, now: BootTime) -> bool {
        if now < self.until + UNPROVEN_LIMIT {
            return false;
        }
        let since = *self.only_renewed.get_or_insert(now);
        now >= since + RENEWED_LIMIT
    }

    /// A proof had no answer: when the next one is due. While there is a lease
    /// to save, that is soon.
    pub(super) fn unproven(&self, now: BootTime, jitter: Duration) -> BootTime {
        let wait = if now < self.until {
            SHORT_RETRY_INTERVAL
        } else {
            RETRY_INTERVAL + jitter
        };
        now + wait
    }

    /// A proof that was requested at `sent` shows the acquisition.
    pub(super) fn proved(&mut self, sent: BootTime) -> Option<StreamCommand> {
        self.only_renewed = None;
        let until = sent + self.lease;
        if until <= self.until {
            return None;
        }
        self.until = until;
        Some(StreamCommand::Extend { until })
    }
}
