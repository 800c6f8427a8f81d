//! The one thread that writes a journal: many requests share a write and a
//! sync.

use std::fs;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::acknowledger::{Acknowledger, PendingAcknowledgement};
use super::active_segment::ActiveSegment;
use super::group::Group;
use super::shared::{Shared, State};
use crate::counting::to_u64;
use sluice_types::error_chain::chain;

/// How soon progress is written when there is nothing else to write. Entries
/// whose progress was not written are delivered again after a crash.
const PROGRESS_DELAY: Duration = Duration::from_millis(100);
/// How often a suspended lease is asked again.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The time between attempts to write again after a failure.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);
/// A write buffer larger than this is freed after use.
const KEPT_BUFFER_BYTES: usize = 4 << 20;

const UNWRITTEN: &str = "the journal cannot be written";

/// Writes until the journal is closed.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    active: ActiveSegment,
    acknowledger: Acknowledger,
    /// When the last attempt to recover from a failure was made.
    tried: Instant,
}

enum Job {
    Write(Group),
    /// Nothing to write, but perhaps something to acknowledge or to remove.
    Maintain,
    Close,
}

impl Writer {
    /// Starts a new segment. If that fails, the journal opens all the same and
    /// the attempt is repeated: delivering what is there may free the space.
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let active = match ActiveSegment::start(&shared) {
            Ok(active) => active,
            Err(error) => {
                log_failure(&shared, &error);
                shared.set_failure(Some(chain(&error)));
                ActiveSegment::unusable()?
            }
        };
        Ok(Self {
            acknowledger: Acknowledger::new(Arc::clone(&shared.metrics), shared.trace.clone()),
            shared,
            active,
            tried: Instant::now(),
        })
    }

    pub(super) fn run(mut self) {
        let _guard = PanicGuard(Arc::clone(&self.shared));
        loop {
            match self.next() {
                Job::Write(group) => self.write(group),
                Job::Maintain => {}
                Job::Close => {
                    // The space is given back at the next start otherwise.
                    drop(self.active.trim());
                    return;
                }
            }
            self.acknowledger.acknowledge();
            if !self.active.is_sound() && self.tried.elapsed() >= RECOVERY_INTERVAL {
                self.recover();
            }
            self.rotate_if_settled();
            self.remove_settled();
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Job {
        let mut state = self.shared.lock();
        loop {
            if !state.pending.is_empty() {
                return Job::Write(Group::take(&mut state));
            }
            if state.is_closing {
                return if state.is_progress_new && self.active.is_sound() {
                    Job::Write(Group::take(&mut state))
                } else {
                    Job::Close
                };
            }
            let limit = self.idle_limit(&state);
            let (woken, is_over) = self.idle(state, limit);
            state = woken;
            if is_over {
                return if self.acknowledger.is_empty() && self.active.is_sound() {
                    Job::Write(Group::take(&mut state))
                } else {
                    Job::Maintain
                };
            }
        }
    }

    /// How long to wait for work before something else is due.
    fn idle_limit(&self, state: &State) -> Duration {
        if !self.acknowledger.is_empty() {
            LEASE_POLL_INTERVAL
        } else if !self.active.is_sound() {
            RECOVERY_INTERVAL
        } else if state.is_progress_new {
            PROGRESS_DELAY
        } else {
            Duration::MAX
        }
    }

    /// Waits until it is woken or the limit is over; true if it is over.
    fn idle<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        limit: Duration,
    ) -> (MutexGuard<'a, State>, bool) {
        state.is_idle = true;
        let woken = self.shared.work.wait_timeout(state, limit);
        let (mut state, waited) = woken.unwrap_or_else(PoisonError::into_inner);
        state.is_idle = false;
        (state, waited.timed_out())
    }

    /// Writes the group; its acknowledgements are due after that.
    fn write(&mut self, mut group: Group) {
        match self.try_write(&group) {
            Ok(()) => self.acknowledger.add(&mut group.acknowledgements),
            Err(error) => self.fail(&error, &group.bytes, group.acknowledgements),
        }
        self.shared.lock().held.release(group.held);
        self.reuse(group.bytes);
    }

    /// Ok means that all of it is on disk.
    fn try_write(&mut self, group: &Group) -> io::Result<()> {
        let end = self.active.bytes() + to_u64(group.bytes.len());
        if end > self.shared.limits.segment_bytes() && group.has_records() {
            self.active.trim()?;
            self.active = ActiveSegment::start(&self.shared)?;
        }
        if let Some(took) = self.active.append(&group.bytes, group.has_records())? {
            let seconds = &self.shared.metrics.journal_sync_seconds;
            seconds.observe(took);
        }
        if let Some(segment) = self.shared.lock().segments.back_mut() {
            segment.bytes = self.active.bytes();
        }
        self.shared.synced.send_replace(group.next_entry);
        Ok(())
    }

    /// Refuses everything until the journal can be written again, and reports
    /// the acknowledgements that were due as failed.
    fn fail(&mut self, error: &io::Error, bytes: &[u8], due: Vec<PendingAcknowledgement>) {
        log_failure(&self.shared, error);
        self.tried = Instant::now();
        let is_cut = self.active.abandon();
        let mut state = self.shared.lock();
        state.failure = Some(chain(error));
        state.used = state.used.saturating_sub(to_u64(bytes.len()));
        let waiting = state.pending.len();
        state.held.release(waiting);
        state.pending.clear();
        let later = std::mem::take(&mut state.acknowledgements);
        if is_cut {
            // The entries' numbers can be given again.
            state.next_entry = *self.shared.synced.borrow();
        }
        drop(state);
        self.shared.failing.send_replace(true);
        for pending in due.into_iter().chain(later) {
            if is_cut {
                pending.completion.not_delivered(UNWRITTEN);
            } else {
                pending.completion.unknown(UNWRITTEN);
            }
        }
    }

    /// Tries to continue in a new segment.
    fn recover(&mut self) {
        self.tried = Instant::now();
        // Skips the numbers that were given and could not be taken back.
        let next = self.shared.lock().next_entry;
        self.shared.synced.send_if_modified(|synced| {
            let is_behind = *synced < next;
            *synced = next;
            is_behind
        });
        match ActiveSegment::start(&self.shared) {
            Ok(active) => {
                self.active = active;
                self.shared.set_failure(None);
                tracing::info!("the journal can be written again");
            }
            Err(error) => self.shared.set_failure(Some(chain(&error))),
        }
    }

    /// Starts a new segment if the current one is full and all of it is
    /// settled: it takes space that new records need.
    fn rotate_if_settled(&mut self) {
        let is_full = self.active.bytes() >= self.shared.limits.segment_bytes();
        if !self.active.is_sound() || !is_full {
            return;
        }
        let settled = self.shared.lock().settled;
        if settled >= *self.shared.synced.borrow() {
            match ActiveSegment::start(&self.shared) {
                Ok(active) => self.active = active,
                Err(error) => self.fail(&error, &[], Vec::new()),
            }
        }
    }

    /// Removes the segments that hold only settled entries.
    fn remove_settled(&self) {
        loop {
            let mut state = self.shared.lock();
            let settled = state.settled;
            let next = state.segments.get(1).map(|next| next.first);
            if next.is_none_or(|next| next > settled) {
                return;
            }
            let Some(segment) = state.segments.pop_front() else {
                return;
            };
            state.used = state.used.saturating_sub(segment.bytes);
            drop(state);
            if let Err(error) = fs::remove_file(&segment.path) {
                let file = segment.path.display();
                tracing::warn!(%file, %error, "could not remove a segment of the journal");
            }
        }
    }

    /// Lets the next frames use this buffer's memory.
    fn reuse(&self, mut bytes: Vec<u8>) {
        let mut state = self.shared.lock();
        if state.pending.capacity() == 0 && bytes.capacity() <= KEPT_BUFFER_BYTES {
            bytes.clear();
            state.pending = bytes;
        }
    }
}

fn log_failure(shared: &Shared, error: &io::Error) {
    tracing::error!(
        folder = %shared.folder.display(),
        error = chain(error),
        "the journal cannot be written; nothing is acknowledged until it can"
    );
}

/// Reports a failure if the thread panics.
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = "its thread has ended; this is a defect".to_owned();
            self.0.set_failure(Some(ended));
        }
    }
}
