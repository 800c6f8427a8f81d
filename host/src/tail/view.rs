//! What a client sees of the records that pass on this node.

use bytes::Bytes;
use tokio::time::sleep_until;

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
                () = sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {}
            }
            let events = self.take();
            if !events.is_empty() {
                return events.into();
            }
            // Much may pass that nobody wants to see.
            tokio::task::yield_now().await;
        }
    }

    /// The events of what passed together.
    fn take(&mut self) -> Vec<u8> {
        let mut events = Vec::new();
        let (missed, passed) = self.watcher.take();
        self.skipped.add_unfiltered(missed);
        if let Some(passed) = passed {
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
