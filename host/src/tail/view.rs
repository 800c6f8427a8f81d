//! What a client sees of the records that pass on this node.

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::event::{RECORD, RecordEvent, SKIPPED};
use super::filter::Filter;
use super::rate::Rate;
use super::skipped::Skipped;
use super::sse;
use crate::peer::TailRequest;
use sluice_delivery::{Passed, Tail, Watcher};

/// The most bytes of events that are made at a time. What passes together and does
/// not fit is skipped, so that the records need not be kept.
const PART_BYTES: usize = 256 << 10;
/// Once this many records have been looked at, others have their turn.
const TURN_RECORDS: usize = 1024;
/// The most records per second that are looked at for a client.
const EXAMINED_PER_SECOND: u32 = 100_000;

/// What one client sees.
#[derive(Debug)]
pub(super) struct View {
    watcher: Watcher,
    filter: Filter,
    shown: Rate,
    examined: Rate,
    skipped: Skipped,
}

impl View {
    pub(super) fn new(tail: &Tail, request: &TailRequest) -> Self {
        Self {
            watcher: tail.watch(),
            filter: Filter::new(request),
            shown: Rate::per_second(request.limit),
            examined: Rate::per_second(EXAMINED_PER_SECOND),
            skipped: Skipped::new(),
        }
    }

    /// Waits for something to show, and returns it as events. Can be cancelled.
    pub(super) async fn next(&mut self) -> Bytes {
        loop {
            let due = self.skipped.due_at();
            tokio::select! {
                biased;
                () = self.watcher.filled() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            let events = self.take();
            if !events.is_empty() {
                return events.into();
            }
            // Much may pass that nobody wants to see.
            tokio::task::yield_now().await;
        }
    }

    /// The events of what has passed, or of a part of it.
    fn take(&mut self) -> Vec<u8> {
        let mut events = Vec::new();
        let mut looked_at = 0;
        while looked_at < TURN_RECORDS && events.len() < PART_BYTES {
            let (missed, passed) = self.watcher.take();
            self.skipped.add_unfiltered(missed);
            let Some(passed) = passed else { break };
            looked_at += passed.records.len();
            self.show(&passed, &mut events);
        }
        if let Some(skipped) = self.skipped.take() {
            sse::push(&mut events, SKIPPED, &skipped);
        }
        events
    }

    fn show(&mut self, passed: &Passed, events: &mut Vec<u8>) {
        self.shown.advance();
        self.examined.advance();
        for record in passed.records.iter() {
            if !self.examined.take() {
                self.skipped.add_unfiltered(1);
            } else if !self.filter.admits(record) {
            } else if events.len() < PART_BYTES && self.shown.take() {
                sse::push(events, RECORD, &RecordEvent::of(record, passed));
            } else {
                self.skipped.add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::event::SkippedEvent;
    use sluice_delivery::Fate;
    use sluice_types::record::{LogRecord, Text};
    use std::time::Duration;

    fn view(limit: u32, filter: &str) -> View {
        let request = TailRequest {
            limit,
            filter: Some(filter.to_owned()),
            ..TailRequest::default()
        };
        View::new(&Tail::new(), &request)
    }

    fn passed(bodies: impl Iterator<Item = String>) -> Passed {
        let record = |body| LogRecord::with_body(Text::from(body), 0);
        Passed {
            records: bodies.map(record).collect::<Vec<_>>().into(),
            fate: Fate::Delivered,
            at: 0,
            bytes: 0,
        }
    }

    /// The records that are shown of what passed.
    fn shown(view: &mut View, passed: &Passed) -> usize {
        let mut events = Vec::new();
        view.show(passed, &mut events);
        assert!(events.len() < PART_BYTES + (32 << 10));
        let text = String::from_utf8(events).unwrap();
        sse::events(&text)
            .filter(|(name, _)| *name == RECORD)
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_beyond_the_limit_is_told_after_a_second() {
        let mut view = view(10, "even");
        let kind = |n| if n % 2 == 0 { "even" } else { "odd" };
        let passed = passed((0..100).map(|n| format!("{n} {}", kind(n))));
        let begun = Instant::now();
        assert_eq!(shown(&mut view, &passed), 10);
        let events = view.next().await;
        let expected = "event: skipped\ndata: {\"records\":40,\"unfiltered\":0}\n\n";
        assert_eq!(events, expected);
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(shown(&mut view, &passed), 10, "a second later");
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_records_are_looked_at() {
        let mut view = view(1, "nowhere");
        let passed = passed((0..1000).map(|n| n.to_string()));
        for _ in 0..150 {
            assert_eq!(shown(&mut view, &passed), 0);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        let skipped = SkippedEvent {
            records: 50_000,
            unfiltered: 50_000,
        };
        assert_eq!(view.skipped.take(), Some(skipped));
        assert_eq!(view.skipped.due_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn large_records_are_shown_in_parts_of_a_size() {
        let mut view = view(1000, "");
        let passed = passed((0..1000).map(|_| "\u{1}".repeat(4096)));
        let shown = shown(&mut view, &passed);
        assert!((5..20).contains(&shown), "{shown}");
        tokio::time::advance(Duration::from_secs(1)).await;
        let skipped = view.skipped.take().unwrap();
        let rest = 1000 - u64::try_from(shown).unwrap();
        assert_eq!((skipped.records, skipped.unfiltered), (rest, 0));
    }
}
