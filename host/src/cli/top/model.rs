//! What is shown.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::feed::News;
use super::keys::Press;
use super::rates::Rates;
use crate::cli::overview::{NodeRow, Overview};
use crate::tail::RecordEvent;

/// The most records that are remembered: more than a screen has lines.
const RECORDS_MAX: usize = 500;

/// An overview is old when the next one is late by this, which a node that does not answer
/// cannot cause alone.
const LATE_AFTER: Duration = Duration::from_secs(3);

/// By what the nodes are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Queue,
    Acknowledged,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) overview: Option<Overview>,
    /// When the overview came.
    seen_at: Option<Instant>,
    /// The time between two overviews.
    interval: Duration,
    /// Why the latest overview is not known, if so; continues "failed to".
    pub(super) problem: Option<String>,
    pub(super) rates: Rates,
    /// The latest last.
    pub(super) records: VecDeque<RecordEvent>,
    /// Records that passed and are not shown.
    pub(super) skipped: u64,
    /// Why no records are watched, if so; continues "failed to".
    pub(super) silence: Option<String>,
    pub(super) is_paused: bool,
    pub(super) is_explained: bool,
    pub(super) sort: Sort,
    /// The name of the node that is chosen, if one is.
    chosen: Option<String>,
}

impl Sort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Queue => "queue",
            Self::Acknowledged => "acknowledged",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Name => Self::Queue,
            Self::Queue => Self::Acknowledged,
            Self::Acknowledged => Self::Name,
        }
    }
}

impl Model {
    /// Nothing is known yet.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            overview: None,
            seen_at: None,
            interval,
            problem: None,
            rates: Rates::default(),
            records: VecDeque::new(),
            skipped: 0,
            silence: None,
            is_paused: false,
            is_explained: false,
            sort: Sort::default(),
            chosen: None,
        }
    }

    /// Takes what is new, unless it is paused.
    pub(super) fn take(&mut self, news: News, now: Instant) {
        if self.is_paused {
            return;
        }
        match news {
            News::Overview(overview) => {
                self.rates.take(&overview.nodes, now);
                self.overview = Some(*overview);
                self.seen_at = Some(now);
                self.problem = None;
            }
            News::NoOverview(why) => self.problem = Some(why),
            News::Watching => self.silence = None,
            News::Records(records) => {
                self.silence = None;
                self.records.extend(records);
                let surplus = self.records.len().saturating_sub(RECORDS_MAX);
                self.records.drain(..surplus);
            }
            News::Skipped(records) => self.skipped = self.skipped.saturating_add(records),
            News::NoRecords(why) => self.silence = Some(why),
        }
    }

    /// Does what a key means; returns whether it ends the command.
    pub(super) fn press(&mut self, press: Press) -> bool {
        match press {
            Press::Quit => return true,
            Press::Pause => self.is_paused = !self.is_paused,
            Press::Sort => self.sort = self.sort.next(),
            Press::Help => self.is_explained = !self.is_explained,
            Press::Back if self.is_explained => self.is_explained = false,
            Press::Back => return true,
            Press::Up => self.choose(|place, _| place.saturating_sub(1)),
            Press::Down => self.choose(|place, last| (place + 1).min(last)),
            Press::Nothing => {}
        }
        false
    }

    /// The nodes in their order.
    pub(super) fn nodes(&self) -> Vec<&NodeRow> {
        let overview = self.overview.iter();
        let mut nodes: Vec<_> = overview.flat_map(|overview| &overview.nodes).collect();
        let most = |row: &NodeRow| {
            let status = row.status.as_ref();
            status.map(|status| match self.sort {
                Sort::Name => 0,
                Sort::Queue => u64::try_from(status.queue.records).unwrap_or(u64::MAX),
                Sort::Acknowledged => status.counters.acknowledged,
            })
        };
        nodes.sort_by(|one, other| {
            let by_most = most(other).cmp(&most(one));
            match self.sort {
                Sort::Name => one.node.cmp(&other.node),
                _ => by_most.then_with(|| one.node.cmp(&other.node)),
            }
        });
        nodes
    }

    /// The place of the node that is chosen, among [`Self::nodes`].
    pub(super) fn place(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.nodes().iter().position(|row| row.node == *chosen)
    }

    /// How old what is known of the nodes is, if that is more than it should be.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.seen_at?);
        (age > self.interval + LATE_AFTER).then_some(age)
    }

    /// Chooses another node; the first one if none is chosen.
    fn choose(&mut self, next: impl Fn(usize, usize) -> usize) {
        let nodes = self.nodes();
        let last = nodes.len().saturating_sub(1);
        let place = self.place().map_or(0, |place| next(place, last));
        let chosen = nodes.get(place).map(|row| row.node.clone());
        self.chosen = chosen;
    }
}
