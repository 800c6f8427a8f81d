//! The one thread that writes a journal: many requests share a write and a
//! sync.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::frame;
use super::recovery::Segment;
use super::scan::to_u64;
use super::state::{Shared, State};
use crate::ack::Share;
use sluice_types::error_chain::chain;
use sluice_types::lease::{Lease, Standing};
use sluice_types::record::RecordId;

/// How soon progress is written when there is nothing else to write. What it
/// is behind is delivered again after a crash.
const LAZY: Duration = Duration::from_millis(100);
/// How often a lease that does not hold for the moment is asked again.
const SUSPENDED: Duration = Duration::from_millis(5);
/// The time between attempts to write again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Buffers larger than this are given back to the system.
const KEPT: usize = 4 << 20;

const UNWRITTEN: &str = "the journal can not be written";

/// An acknowledgement that is due when what was written before it is on disk.
#[derive(Debug)]
pub(super) struct Promise {
    pub(super) share: Share,
    pub(super) lease: Arc<Lease>,
    /// For the audit, if there is one.
    pub(super) ids: Vec<RecordId>,
}

/// Writes until the journal is closed.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Active,
    /// On disk, but the lease did not hold when it was asked.
    waiting: Vec<Promise>,
    /// When it was last tried to go on after a failure.
    tried: Instant,
}

/// The segment that is being written.
#[derive(Debug)]
struct Active {
    file: Arc<File>,
    /// Where the next frame goes; all before is on disk.
    at: u64,
    /// Whether the last write went well.
    is_sound: bool,
}

/// What is written together.
struct Group {
    bytes: Vec<u8>,
    promises: Vec<Promise>,
    /// The entry after the last one in it.
    next_entry: u64,
}

enum Job {
    Write(Group),
    /// Nothing to write; perhaps something to acknowledge, or to remove.
    Look,
    Close,
}

impl Writer {
    /// Begins a new segment. Where that is not possible it is tried again: what
    /// is there can be delivered, which may be what makes room.
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let active = match begin(&shared) {
            Ok(active) => active,
            Err(error) => {
                tracing::error!(
                    folder = %shared.folder.display(),
                    error = chain(&error),
                    "the journal can not be written; nothing is acknowledged until it can"
                );
                shared.lock().failure = Some(chain(&error));
                shared.failing.send_replace(true);
                Active {
                    file: Arc::new(File::open("/dev/null")?),
                    at: 0,
                    is_sound: false,
                }
            }
        };
        Ok(Self {
            shared,
            active,
            waiting: Vec::new(),
            tried: Instant::now(),
        })
    }

    pub(super) fn run(mut self) {
        let _guard = Guard(Arc::clone(&self.shared));
        loop {
            match self.next() {
                Job::Write(mut group) => {
                    match self.write(&group) {
                        Ok(()) => self.waiting.append(&mut group.promises),
                        Err(error) => self.fail(&error, &group.bytes, group.promises),
                    }
                    self.give_back(group.bytes);
                }
                Job::Look => {}
                Job::Close => {
                    // What was reserved and not needed; it is no matter if not.
                    drop(self.active.file.set_len(self.active.at));
                    return;
                }
            }
            self.acknowledge();
            if !self.active.is_sound && self.tried.elapsed() >= RETRY {
                self.recover();
            }
            self.renew();
            self.remove_settled();
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Job {
        let mut state = self.shared.lock();
        loop {
            if !state.pending.is_empty() {
                return Job::Write(Group::of(&mut state));
            }
            if state.is_closing {
                return if state.is_progress_new && self.active.is_sound {
                    Job::Write(Group::of(&mut state))
                } else {
                    Job::Close
                };
            }
            let limit = if !self.waiting.is_empty() {
                SUSPENDED
            } else if !self.active.is_sound {
                RETRY
            } else if state.is_progress_new {
                LAZY
            } else {
                Duration::MAX
            };
            state.is_idle = true;
            let woken = self.shared.work.wait_timeout(state, limit);
            let (woken, waited) = woken.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.is_idle = false;
            if !waited.timed_out() {
                continue;
            }
            return if self.waiting.is_empty() && self.active.is_sound {
                Job::Write(Group::of(&mut state))
            } else {
                Job::Look
            };
        }
    }

    /// All of it on disk, or an error.
    fn write(&mut self, group: &Group) -> io::Result<()> {
        let length = to_u64(group.bytes.len());
        let shared = Arc::clone(&self.shared);
        if self.active.at + length > shared.segment_bytes() && group.has_records() {
            // What was reserved and not needed.
            self.active.file.set_len(self.active.at)?;
            self.active = begin(&shared)?;
        }
        let active = &mut self.active;
        // Until it is known that all is well.
        active.is_sound = false;
        active.file.write_all_at(&group.bytes, active.at)?;
        if group.has_records() {
            let started = Instant::now();
            active.file.sync_data()?;
            let took = started.elapsed().as_secs_f64();
            shared.metrics.journal_sync_seconds.observe(took);
        }
        active.is_sound = true;
        active.at += length;
        let mut state = shared.lock();
        if let Some(segment) = state.segments.back_mut() {
            segment.bytes = active.at;
        }
        drop(state);
        shared.synced.send_replace(group.next_entry);
        Ok(())
    }

    /// Nothing is acknowledged any more, and what waits for that is told.
    fn fail(&mut self, error: &io::Error, bytes: &[u8], promises: Vec<Promise>) {
        tracing::error!(
            folder = %self.shared.folder.display(),
            error = chain(error),
            "the journal can not be written; nothing is acknowledged until it can"
        );
        self.active.is_sound = false;
        self.tried = Instant::now();
        let active = &self.active;
        let cut = active.file.set_len(active.at);
        let is_cut = cut.and_then(|()| active.file.sync_all()).is_ok();
        let mut state = self.shared.lock();
        state.failure = Some(chain(error));
        state.used = state.used.saturating_sub(to_u64(bytes.len()));
        state.pending.clear();
        let later = std::mem::take(&mut state.promises);
        if is_cut {
            // Their numbers can be given again.
            state.next_entry = *self.shared.synced.borrow();
        }
        drop(state);
        self.shared.failing.send_replace(true);
        for promise in promises.into_iter().chain(later) {
            if is_cut {
                promise.share.not_delivered(UNWRITTEN);
            } else {
                promise.share.unknown(UNWRITTEN);
            }
        }
    }

    /// Goes on in a new segment, where that is possible.
    fn recover(&mut self) {
        self.tried = Instant::now();
        // Numbers that were given and could not be taken back are left out.
        let next = self.shared.lock().next_entry;
        self.shared.synced.send_if_modified(|synced| {
            let is_behind = *synced < next;
            *synced = next;
            is_behind
        });
        match begin(&self.shared) {
            Ok(active) => {
                self.active = active;
                self.shared.lock().failure = None;
                self.shared.failing.send_replace(false);
                tracing::info!("the journal can be written again");
            }
            Err(error) => {
                self.shared.lock().failure = Some(chain(&error));
            }
        }
    }

    /// Acknowledges what is on disk, as far as the leases allow it.
    fn acknowledge(&mut self) {
        let mut asked: Option<(Arc<Lease>, Standing)> = None;
        for promise in std::mem::take(&mut self.waiting) {
            if promise.share.is_abandoned() {
                // It is delivered all the same.
                promise.share.unknown("its producer no longer waits");
                continue;
            }
            let standing = match &asked {
                Some((lease, standing)) if Arc::ptr_eq(lease, &promise.lease) => *standing,
                _ => {
                    let standing = promise.lease.ask();
                    asked = Some((Arc::clone(&promise.lease), standing));
                    standing
                }
            };
            match standing {
                Standing::Valid(now) => {
                    let audited = match &self.shared.trace {
                        Some(trace) => {
                            let ids = promise.ids.iter().copied();
                            trace.decided(now, promise.lease.epoch(), ids)
                        }
                        None => Ok(()),
                    };
                    if let Err(error) = audited {
                        tracing::error!(%error, "failed to write the trace of acknowledgements");
                        promise
                            .share
                            .unknown("its acknowledgement could not be traced");
                        continue;
                    }
                    let records = to_u64(promise.share.len());
                    self.shared.metrics.acknowledged.inc_by(records);
                    promise.share.acknowledge();
                }
                Standing::Suspended => self.waiting.push(promise),
                Standing::Revoked => promise
                    .share
                    .unknown("the node stepped down before it could acknowledge"),
            }
        }
    }

    /// Begins a new segment where all is delivered of one that is as large as
    /// they may be: it takes room that others need.
    fn renew(&mut self) {
        if !self.active.is_sound || self.active.at < self.shared.segment_bytes() {
            return;
        }
        let settled = self.shared.lock().settled;
        if settled >= *self.shared.synced.borrow() {
            match begin(&self.shared) {
                Ok(active) => self.active = active,
                Err(error) => self.fail(&error, &[], Vec::new()),
            }
        }
    }

    /// Removes the segments of which nothing is needed any more.
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

    /// The memory is used again.
    fn give_back(&self, mut bytes: Vec<u8>) {
        let mut state = self.shared.lock();
        if state.pending.capacity() == 0 && bytes.capacity() <= KEPT {
            bytes.clear();
            state.pending = bytes;
        }
    }
}

impl Group {
    /// All that waits, and the progress, if there is news.
    fn of(state: &mut State) -> Self {
        if std::mem::take(&mut state.is_progress_new) {
            let (entry, progress) = (state.next_entry, state.progress());
            frame::progressed(entry, &progress, &mut state.pending);
        }
        // Counted from here on, so that no more is taken in than there is room.
        state.used += to_u64(state.pending.len());
        Self {
            bytes: std::mem::take(&mut state.pending),
            promises: std::mem::take(&mut state.promises),
            next_entry: state.next_entry,
        }
    }

    /// Progress alone need not be synced.
    const fn has_records(&self) -> bool {
        !self.promises.is_empty()
    }
}

/// Says so if the thread ends as it should not.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().failure = Some("its thread has ended; this is a defect".to_owned());
            self.0.failing.send_replace(true);
        }
    }
}

/// Makes the next segment, which begins with what is known so far.
fn begin(shared: &Shared) -> io::Result<Active> {
    let (first, progress) = {
        let state = shared.lock();
        // What waits goes into the new one.
        (*shared.synced.borrow(), state.progress())
    };
    let path = Segment::path(&shared.folder, first);
    let new = path.with_extension("new");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    // With room reserved, a sync need not write the file's length each time.
    // Where that is not possible, it grows.
    let reserved = fallocate(&file, FallocateFlags::empty(), 0, shared.segment_bytes());
    if let Err(error) = reserved {
        tracing::debug!(%error, "could not reserve room for the journal");
    }
    let mut bytes = Vec::new();
    frame::start(first, shared.id, &progress, &mut bytes);
    let written = file
        .write_all_at(&bytes, 0)
        .and_then(|()| file.sync_all())
        // In the place of one that holds no records.
        .and_then(|()| fs::rename(&new, &path))
        .and_then(|()| File::open(&shared.folder)?.sync_all());
    if let Err(error) = written {
        drop(fs::remove_file(&new));
        return Err(error);
    }
    let file = Arc::new(file);
    let at = to_u64(bytes.len());
    let mut state = shared.lock();
    if state
        .segments
        .back()
        .is_some_and(|last| last.first == first)
        && let Some(replaced) = state.segments.pop_back()
    {
        state.used = state.used.saturating_sub(replaced.bytes);
    }
    state.used += at;
    state.segments.push_back(Segment {
        first,
        path,
        file: Arc::clone(&file),
        bytes: at,
    });
    Ok(Active {
        file,
        at,
        is_sound: true,
    })
}
