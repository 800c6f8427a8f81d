//! Spans that wait until they are exported.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_types::trace::Span;
use tokio::sync::Notify;

/// A bounded queue. Putting a span into it never waits for the export.
#[derive(Debug)]
pub(crate) struct Buffer {
    spans: Mutex<VecDeque<Span>>,
    /// How many may wait.
    limit: usize,
    /// How many are taken at a time.
    batch: usize,
    /// As many wait as are taken at a time.
    filled: Notify,
}

impl Buffer {
    pub(crate) fn new(limit: usize, batch: usize) -> Self {
        Self {
            spans: Mutex::default(),
            limit,
            batch,
            filled: Notify::new(),
        }
    }

    /// Adds a span; false if there is no room.
    pub(crate) fn add(&self, span: Span) -> bool {
        let mut spans = self.lock();
        if spans.len() >= self.limit {
            return false;
        }
        spans.push_back(span);
        let is_filled = spans.len() == self.batch;
        drop(spans);
        if is_filled {
            self.filled.notify_one();
        }
        true
    }

    /// Waits until as many wait as are taken at a time.
    pub(crate) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if self.lock().len() >= self.batch {
                return;
            }
            filled.await;
        }
    }

    /// Takes the oldest ones.
    pub(crate) fn take(&self) -> Vec<Span> {
        let mut spans = self.lock();
        let count = spans.len().min(self.batch);
        spans.drain(..count).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
