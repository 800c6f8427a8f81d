//! The segment that is being written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::frame;
use super::segment::Segment;
use super::shared::Shared;
use crate::counting::to_u64;
use sluice_types::files;

/// The last segment of a journal.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    file: Arc<File>,
    /// The position of the next frame. Everything before it is on disk.
    at: u64,
    /// Whether the last write succeeded.
    is_sound: bool,
}

impl ActiveSegment {
    /// Starts the next segment with the progress so far. The frames that wait
    /// go into it.
    pub(super) fn start(shared: &Shared) -> io::Result<Self> {
        let (first, progress) = {
            let state = shared.lock();
            (*shared.synced.borrow(), state.progress())
        };
        let mut head = Vec::new();
        frame::start(first, shared.id, &progress, &mut head);
        let path = Segment::path(&shared.folder, first);
        let file = create(&shared.folder, &path, &head, shared.limits.segment_bytes())?;
        let file = Arc::new(file);
        let at = to_u64(head.len());
        let mut state = shared.lock();
        let is_same = |last: &Segment| last.first == first;
        // The new file has replaced one that held no records.
        if state.segments.back().is_some_and(is_same)
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
        Ok(Self {
            file,
            at,
            is_sound: true,
        })
    }

    /// Stands for a segment that could not be started.
    pub(super) fn unusable() -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(File::open("/dev/null")?),
            at: 0,
            is_sound: false,
        })
    }

    /// Whether the last write succeeded.
    pub(super) const fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// The bytes of its frames.
    pub(super) const fn bytes(&self) -> u64 {
        self.at
    }

    /// Writes these frames at the end. If they are to be synced, returns how
    /// long the sync took.
    pub(super) fn append(
        &mut self,
        frames: &[u8],
        is_synced: bool,
    ) -> io::Result<Option<Duration>> {
        // Until everything has succeeded.
        self.is_sound = false;
        self.file.write_all_at(frames, self.at)?;
        let took = is_synced.then(|| self.sync()).transpose()?;
        self.is_sound = true;
        self.at += to_u64(frames.len());
        Ok(took)
    }

    fn sync(&self) -> io::Result<Duration> {
        let started = Instant::now();
        self.file.sync_data()?;
        Ok(started.elapsed())
    }

    /// Gives back the space that was reserved and not needed.
    pub(super) fn trim(&self) -> io::Result<()> {
        self.file.set_len(self.at)
    }

    /// Takes it out of use after a failure, and removes what the failed write
    /// left; true if that is certain to be gone.
    pub(super) fn abandon(&mut self) -> bool {
        self.is_sound = false;
        self.trim().and_then(|()| self.file.sync_all()).is_ok()
    }
}

/// Makes a segment's file whole under another name first, so that a crash
/// leaves no part of one. It may replace one that holds no records.
fn create(folder: &Path, path: &Path, head: &[u8], reserved: u64) -> io::Result<File> {
    let new = path.with_extension("new");
    let file = files::create_own(&new)?;
    // With the space reserved, a sync need not write the file's length each
    // time. Where that is not supported, the file grows.
    if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, reserved) {
        tracing::debug!(%error, "could not reserve space for the journal");
    }
    let written = file
        .write_all_at(head, 0)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| File::open(folder)?.sync_all());
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            drop(fs::remove_file(&new));
            Err(error)
        }
    }
}
