//! How many records a second the streams of this node take.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::stream::streams::Streams;

/// Over how long rates are measured. Each change is told to all nodes.
const SPAN: Duration = Duration::from_secs(10);
/// Rates are rounded down to a multiple of this, so that small changes are none.
const STEP: u64 = 100;

/// Measures rates.
#[derive(Debug, Default)]
pub(super) struct Rates {
    since: Option<Instant>,
    /// The records of each stream at that time.
    before: BTreeMap<String, u64>,
}

impl Rates {
    /// Records a second by stream, if it is time to tell them.
    pub(super) fn measure(&mut self, streams: &Streams) -> Option<BTreeMap<String, u64>> {
        let now = Instant::now();
        let elapsed = self.since.map(|since| now.duration_since(since));
        if elapsed.is_some_and(|elapsed| elapsed < SPAN) {
            return None;
        }
        let totals = streams.all().into_iter();
        let totals: BTreeMap<_, _> = totals
            .map(|stream| (stream.name.clone(), stream.metrics.accepted.get()))
            .collect();
        self.since = Some(now);
        let before = std::mem::replace(&mut self.before, totals);
        let seconds = elapsed?.as_secs().max(1);
        let rates = self.before.iter().map(|(name, total)| {
            let before = before.get(name).copied().unwrap_or(*total);
            let rate = total.saturating_sub(before) / seconds;
            (name.clone(), rate / STEP * STEP)
        });
        Some(rates.collect())
    }
}
