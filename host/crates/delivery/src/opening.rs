//! The opening of a further instance of a sink, beside the writes of the others.

use std::fmt;

use tokio::time::Instant;

use crate::active_sink::{ActiveSink, Opened};
use crate::retries::{BACKOFF_MAX, BACKOFF_MIN};
use sluice_types::backoff::Backoff;
use sluice_types::retry_after::RetryAfter;
use sluice_types::sink::BoxFuture;

/// Opens one instance at a time. Dropping this ends it.
pub(crate) struct Opening {
    under_way: Option<BoxFuture<'static, Opened>>,
    backoff: Backoff,
    /// When the next one may begin, after one has failed.
    not_before: Option<Instant>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("is_under_way", &self.is_under_way())
            .finish_non_exhaustive()
    }
}

impl Opening {
    pub(crate) const fn new() -> Self {
        Self {
            under_way: None,
            backoff: Backoff::new(BACKOFF_MIN, BACKOFF_MAX),
            not_before: None,
        }
    }

    pub(crate) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(crate) const fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    pub(crate) fn begin(&mut self, sink: &ActiveSink) {
        self.under_way = Some(sink.open());
    }

    /// Ends it if it is under way.
    pub(crate) fn cancel(&mut self) {
        self.under_way = None;
    }

    /// Waits until it has ended; for ever if none is under way. Can be
    /// cancelled.
    pub(crate) async fn ended(&mut self) -> Opened {
        let Some(under_way) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let opened = under_way.await;
        self.under_way = None;
        if opened.is_ok() {
            self.backoff.reset();
            self.not_before = None;
        }
        opened
    }

    /// It failed. Returns when the next one may begin.
    pub(crate) fn failed(&mut self, at_least: Option<RetryAfter>) -> Instant {
        let until = Instant::now() + self.backoff.next(at_least);
        self.not_before = Some(until);
        until
    }
}
