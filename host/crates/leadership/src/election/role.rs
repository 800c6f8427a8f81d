//! What a node is in the election, and what it is doing about it.

use super::found::Found;
use super::held_lock::HeldLock;
use crate::command::Release;
use crate::take::Take;
use sluice_types::clock::BootTime;

#[derive(Debug)]
pub(super) enum Role {
    Follower(Campaign),
    Leader(HeldLock),
}

#[derive(Debug)]
pub(super) enum Campaign {
    Idle,
    Looking,
    Taking(Attempt),
    Releasing(Releasing),
}

/// An attempt to take the lock that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) sent: BootTime,
    pub(super) take: Take,
    pub(super) found: Found,
}

/// A release that is not confirmed yet.
#[derive(Debug)]
pub(super) struct Releasing {
    pub(super) release: Release,
    /// When to ask again; `None` while a request is under way.
    pub(super) retry: Option<BootTime>,
}
