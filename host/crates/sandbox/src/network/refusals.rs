//! What sinks tried and may not do: counted, and told in the node's log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::stderr_rate::NODE_RATE;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// An HTTP request.
    Http,
    /// A TCP connection, or another use of a TCP socket.
    Tcp,
    /// A UDP socket.
    Udp,
    /// The look-up of a name.
    Lookup,
    /// One more request at the same time.
    Requests,
    /// A header with a secret.
    Secret,
}

impl Refused {
    /// Its name, as in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Lookup => "lookup",
            Self::Requests => "requests",
            Self::Secret => "secret",
        }
    }
}

/// Hears of refusals.
#[derive(Clone)]
pub struct Refusals(Arc<Shared>);

struct Shared {
    observer: Box<dyn Fn(Refused) + Send + Sync>,
    /// Those since the last line in the log that are in none.
    untold: AtomicU64,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusals")
    }
}

impl Refusals {
    /// Calls this for each refusal.
    pub fn new(observer: impl Fn(Refused) + Send + Sync + 'static) -> Self {
        let (observer, untold) = (Box::new(observer), AtomicU64::new(0));
        Self(Arc::new(Shared { observer, untold }))
    }

    /// Counts a refusal. The log has a bound on what sinks may fill in it.
    pub(super) fn report(&self, plugin: &str, refused: Refused, what: &str, why: &str) {
        (self.0.observer)(refused);
        if !NODE_RATE.admits(plugin.len() + what.len() + why.len(), Instant::now()) {
            self.0.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let untold = self.0.untold.swap(0, Ordering::Relaxed);
        tracing::warn!(
            plugin,
            kind = refused.name(),
            what,
            why,
            untold,
            "refused what a sink tried"
        );
    }
}
