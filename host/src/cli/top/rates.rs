//! Records per second, from counters.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use crate::cli::overview::NodeRow;
use crate::http::admin::Counters;

/// How many rates are remembered for the plots.
const KEPT_MAX: usize = 240;

/// Rates of all nodes together.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// The counters of each node, and when they were read.
    before: BTreeMap<String, (Counters, Instant)>,
    /// Records per second that were taken in, the latest last.
    pub(super) taken: VecDeque<u64>,
    /// Records per second that were acknowledged, the latest last.
    pub(super) acknowledged: VecDeque<u64>,
    /// Records per second that were refused for good.
    pub(super) rejected: u64,
    pub(super) dead_lettered: u64,
    pub(super) retried: u64,
}

/// The rates at one time.
#[derive(Debug, Default)]
struct Sum {
    taken: u64,
    acknowledged: u64,
    rejected: u64,
    dead_lettered: u64,
    retried: u64,
}

impl Rates {
    /// Takes the counters of the nodes that have answered. Each node's rates are those
    /// since its own last answer; there are none after the first one.
    pub(super) fn take(&mut self, nodes: &[NodeRow], now: Instant) {
        let (mut sum, mut is_known) = (Sum::default(), false);
        self.before
            .retain(|node, _| nodes.iter().any(|row| row.node == *node));
        for NodeRow { node, status, .. } in nodes {
            let Some(status) = status else { continue };
            let counters = status.counters.clone();
            if let Some((before, read)) = self.before.insert(node.clone(), (counters, now)) {
                let millis = now.saturating_duration_since(read).as_millis();
                sum.add(&status.counters, &before, millis.max(1));
                is_known = true;
            }
        }
        if !is_known {
            return;
        }
        push(&mut self.taken, sum.taken);
        push(&mut self.acknowledged, sum.acknowledged);
        self.rejected = sum.rejected;
        self.dead_lettered = sum.dead_lettered;
        self.retried = sum.retried;
    }
}

impl Sum {
    /// Adds a node's rates. Counters of a node that was started again begin with 0.
    fn add(&mut self, now: &Counters, before: &Counters, millis: u128) {
        let rate = |now: u64, before: u64| {
            let records = now.checked_sub(before).unwrap_or(now);
            u64::try_from(u128::from(records) * 1000 / millis).unwrap_or(u64::MAX)
        };
        for (sum, now, before) in [
            (&mut self.taken, now.accepted, before.accepted),
            (
                &mut self.acknowledged,
                now.acknowledged,
                before.acknowledged,
            ),
            (&mut self.rejected, now.rejected, before.rejected),
            (
                &mut self.dead_lettered,
                now.dead_lettered,
                before.dead_lettered,
            ),
            (&mut self.retried, now.retried, before.retried),
        ] {
            *sum = sum.saturating_add(rate(now, before));
        }
    }
}

fn push(rates: &mut VecDeque<u64>, rate: u64) {
    if rates.len() == KEPT_MAX {
        rates.pop_front();
    }
    rates.push_back(rate);
}
