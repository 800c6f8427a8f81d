//! Takes samples, and answers with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::document::HistoryDocument;
use super::ring::Ring;
use super::sample::{Sample, Waiting};
use super::totals::Totals;
use crate::stream::{Stream, Streams};
use sluice_types::clock::unix_nanos;

/// The time between two samples, in milliseconds.
const INTERVAL_MS: u64 = 5000;

/// The histories of all streams of a node.
#[derive(Debug)]
pub(crate) struct Histories {
    node: String,
    streams: Streams,
    /// By the names of the streams.
    rings: Mutex<BTreeMap<String, Ring>>,
}

impl Histories {
    /// `node` is the node's name.
    pub(crate) fn new(node: String, streams: &Streams) -> Self {
        Self {
            node,
            streams: streams.clone(),
            rings: Mutex::default(),
        }
    }

    /// Takes samples until this future is dropped.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut before = BTreeMap::new();
        loop {
            before = self.sample(&before, sleep_until_next().await);
        }
    }

    /// Takes a sample of each stream. Returns their totals by their names.
    fn sample(&self, before: &BTreeMap<String, Totals>, time: u64) -> BTreeMap<String, Totals> {
        let streams = self.streams.all();
        let mut rings = lock(&self.rings);
        rings.retain(|name, _| streams.iter().any(|stream| stream.name == *name));
        let totals = streams.iter().map(|stream| {
            let now = Totals::of(stream);
            let before = before.get(&stream.name);
            let sample =
                before.and_then(|before| Sample::between(before, &now, time, Waiting::of(stream)));
            if let Some(sample) = sample {
                let ring = rings.entry(stream.name.clone());
                ring.or_insert_with(Ring::new).push(sample);
            }
            (stream.name.clone(), now)
        });
        totals.collect()
    }

    /// The samples of a stream that are later than `since`, in milliseconds since
    /// the Unix epoch.
    pub(crate) fn of(&self, stream: &Arc<Stream>, since: u64) -> HistoryDocument {
        let rings = lock(&self.rings);
        let ring = rings.get(&stream.name);
        let samples = ring.into_iter().flat_map(|ring| ring.after(since));
        HistoryDocument::new(&self.node, INTERVAL_MS, samples)
    }
}

fn lock(rings: &Mutex<BTreeMap<String, Ring>>) -> MutexGuard<'_, BTreeMap<String, Ring>> {
    rings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the next multiple of the interval, and returns it.
async fn sleep_until_next() -> u64 {
    let now = unix_millis();
    let next = next_multiple(now);
    // Timers are never early, but the clock may be slewed meanwhile.
    sleep(Duration::from_millis(next - now)).await;
    next.max(unix_millis() / INTERVAL_MS * INTERVAL_MS)
}

const fn next_multiple(now: u64) -> u64 {
    (now / INTERVAL_MS + 1) * INTERVAL_MS
}

fn unix_millis() -> u64 {
    unix_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_take_samples_at_the_same_times() {
        for (now, next) in [(0, 5000), (4999, 5000), (5000, 10_000), (5001, 10_000)] {
            assert_eq!(next_multiple(now), next, "{now}");
        }
    }
}
