//! How often, and after which pauses, the election does things again.

use std::time::Duration;

/// How often a session is renewed; its TTL is 10 s.
pub(super) const RENEWAL_INTERVAL: Duration = Duration::from_millis(2500);
/// The pause after a call that had no answer.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// The pause where time is short, or where another look is cheap.
pub(super) const SHORT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
