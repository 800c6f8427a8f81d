//! Where decoders' rejects are kept and counted.

use std::iter::once;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reject::Reject;
use super::ring::Ring;
use sluice_delivery::metrics::StreamMetrics;
use sluice_protocols::rejected::{Example, Rejected};

/// What decoders of this node rejected lately of what is for a stream. It takes
/// less than 4 MiB.
#[derive(Debug)]
pub(crate) struct Rejects {
    ring: Mutex<Ring>,
    metrics: Arc<StreamMetrics>,
}

/// Who sent what is rejected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// The name of the protocol.
    pub(crate) protocol: &'static str,
    /// The client's address, if it is known.
    pub(crate) client: Option<IpAddr>,
}

impl Rejects {
    pub(crate) fn new(metrics: Arc<StreamMetrics>) -> Self {
        Self {
            ring: Mutex::default(),
            metrics,
        }
    }

    /// Counts the records that were rejected of a body, and keeps the first of them.
    pub(crate) fn keep(&self, sender: Sender, rejected: &Rejected) {
        let examples = rejected.examples().map(|example| (sender, example));
        self.keep_some(rejected.len(), examples);
    }

    /// The same for the records of several clients, of which some are to be kept.
    pub(crate) fn keep_some<'a>(
        &self,
        total: usize,
        examples: impl Iterator<Item = (Sender, Example<'a>)>,
    ) {
        if total > 0 {
            self.metrics.rejected.inc_by(count(total));
            self.add(total, examples);
        }
    }

    /// The same for one record. `source` is all of it, or its beginning.
    pub(crate) fn keep_record(&self, sender: Sender, reason: &str, source: &[u8]) {
        let excerpt = source;
        self.keep_some(1, once((sender, Example { reason, excerpt })));
    }

    /// Keeps that a body, or what is left of a connection, cannot be divided into
    /// records.
    pub(crate) fn keep_unreadable(&self, sender: Sender, reason: &str, source: &[u8]) {
        let excerpt = source;
        self.add(1, once((sender, Example { reason, excerpt })));
    }

    /// All that are kept, oldest first.
    pub(crate) fn list(&self) -> Vec<Reject> {
        self.ring().list()
    }

    fn add<'a>(&self, total: usize, examples: impl Iterator<Item = (Sender, Example<'a>)>) {
        let (mut added, mut gone) = (0, 0);
        for (Sender { protocol, client }, example) in examples {
            let reject = Reject::new(protocol, client, example.reason, example.excerpt);
            gone += usize::from(self.ring().push(reject));
            added += 1;
        }
        self.metrics.decoder_rejects.inc_by(count(total));
        let dropped = total.saturating_sub(added) + gone;
        self.metrics.decoder_rejects_dropped.inc_by(count(dropped));
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_delivery::metrics::Metrics;

    #[test]
    fn what_is_kept_and_what_is_dropped_add_up() {
        let rejects = Rejects::new(Metrics::new().stream("default"));
        let sender = Sender {
            protocol: "loki",
            client: Some(IpAddr::from([192, 0, 2, 1])),
        };
        let mut rejected = Rejected::default();
        rejects.keep(sender, &rejected);
        for place in 0..50 {
            rejected.push(place, "no");
            rejected.show(b"sent");
        }
        for _ in 0..10 {
            rejects.keep(sender, &rejected);
        }
        rejects.keep_record(sender, "no record", b"x");
        rejects.keep_unreadable(sender, "no body", b"y");
        let (metrics, list) = (&rejects.metrics, rejects.list());
        assert_eq!(
            (metrics.rejected.get(), metrics.decoder_rejects.get()),
            (501, 502)
        );
        let kept = count(list.len());
        assert_eq!((kept, metrics.decoder_rejects_dropped.get()), (100, 402));
        let last = list.last().unwrap();
        assert_eq!(
            (&*last.reason, last.text.as_deref()),
            ("no body", Some("y"))
        );
        assert_eq!(list[0].text.as_deref(), Some("sent"));
    }
}
