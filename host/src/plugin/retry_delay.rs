//! When a sink that could not be prepared is tried again.

use std::time::Duration;

/// The delay before the second attempt, even if the file has not changed: not every
/// cause shows in the file.
pub(super) const FIRST_RETRY_DELAY: Duration = Duration::from_secs(5);
/// The longest delay.
pub(super) const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);
