use std::time::Duration;

/// A reading of a monotonic clock, counted from any fixed start.
///
/// The store has no clock of its own: callers say what time it is.
pub type Moment = Duration;
