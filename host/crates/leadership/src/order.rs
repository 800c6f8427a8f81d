//! What the control thread can be told to do.

use std::time::Duration;

/// Letting go of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDown {
    /// Of the tenure that is meant; another is left alone.
    pub epoch: u64,
    /// How long the lock is left to the others.
    pub stay_out: Duration,
    /// Whether that ends once one of them has taken it.
    pub until_taken: bool,
    /// The node that is to take it; any, if none is named, or if it does not
    /// within some seconds.
    pub to: Option<String>,
}

/// What the control side can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Whether this node could lead: its sink is prepared. If so, whatever
    /// kept it out before is forgotten.
    Eligible(bool),
    /// Let go of the lock. Nothing is acknowledged any more.
    StepDown(StepDown),
    /// Let go of everything.
    Shutdown,
}
