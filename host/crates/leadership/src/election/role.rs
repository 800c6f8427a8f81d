//! What a node is in the election, and what it is doing about it.

use super::found::Found;
use super::held_lock::HeldLock;
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
    Releasing { session: String },
}

/// An attempt to take the lock that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) sent: BootTime,
    pub(super) take: Take,
    pub(super) found: Found,
}
