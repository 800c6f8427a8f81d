//! What sinks tried and may not do, and the limits that they reached: counted, and
//! told in the node's log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::stderr_rate::NODE_RATE;

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
    /// More memory, or larger tables.
    Memory,
    /// More time for a call.
    Time,
    /// A deeper stack.
    Stack,
    /// One more handle.
    Handles,
    /// More text on stderr.
    Stderr,
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
            Self::Memory => "memory",
            Self::Time => "time",
            Self::Stack => "stack",
            Self::Handles => "handles",
            Self::Stderr => "stderr",
        }
    }
}

/// Hears of the refusals of a node.
#[derive(Clone)]
pub struct Refusals(Arc<Shared>);

struct Shared {
    observer: Box<dyn Fn(Refused) + Send + Sync>,
    /// Those since the last line in the log that are in none.
    untold: AtomicU64,
}

/// Hears of the refusals of one sink.
#[derive(Clone)]
pub(super) struct SinkRefusals {
    plugin: Arc<str>,
    refusals: Refusals,
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

    /// Those of a sink, by the name that the log gives it.
    pub(super) fn of(&self, plugin: &str) -> SinkRefusals {
        SinkRefusals {
            plugin: plugin.into(),
            refusals: self.clone(),
        }
    }
}

impl SinkRefusals {
    /// The sink, as the log names it.
    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Counts a refusal that is logged elsewhere.
    pub(super) fn count(&self, refused: Refused) {
        (self.refusals.0.observer)(refused);
    }

    /// Counts and logs a refusal. The log has a bound on what sinks may fill in it.
    pub(super) fn report(&self, refused: Refused, what: &str, why: &str) {
        self.count(refused);
        let (plugin, untold) = (&*self.plugin, &self.refusals.0.untold);
        if !NODE_RATE.admits(plugin.len() + what.len() + why.len(), Instant::now()) {
            untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tracing::warn!(
            plugin,
            kind = refused.name(),
            what,
            why,
            untold = untold.swap(0, Ordering::Relaxed),
            "refused what a sink tried"
        );
    }
}
