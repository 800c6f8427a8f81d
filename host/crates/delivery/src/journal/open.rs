//! Opening a journal: reading and repairing what is on disk, and starting the
//! thread that writes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use thiserror::Error;
use tokio::sync::watch;

use super::frame::JournalId;
use super::handle::{Journal, WriterThread};
use super::limits::JournalLimits;
use super::recovery::{self, Inventory, Recovered};
use super::segment::Segment;
use super::shared::{Shared, State};
use super::writer::Writer;
use crate::metrics::StreamMetrics;
use crate::trace::AckTrace;
use sluice_types::files;

/// A journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The folder or a file in it cannot be used.
    #[error("{act} the journal in {}", .folder.display())]
    Open {
        /// What was tried.
        act: &'static str,
        /// The journal's folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("start the thread that writes the journal")]
    Thread(#[source] io::Error),
}

impl Journal {
    /// Opens the journal in this folder, or makes one: reads what is there,
    /// cuts off an unfinished write, and logs what it found.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(
        folder: PathBuf,
        limits: JournalLimits,
        metrics: Arc<StreamMetrics>,
        trace: Option<Arc<AckTrace>>,
    ) -> Result<Self, JournalError> {
        let error = |act, cause| JournalError::Open {
            act,
            folder: folder.clone(),
            cause,
        };
        make(&folder).map_err(|cause| error("make", cause))?;
        let mut found = recovery::read(&folder).map_err(|cause| error("read", cause))?;
        mend(&mut found.segments).map_err(|cause| error("mend", cause))?;
        log(&found.inventory, &folder);
        metrics
            .journal_damaged_bytes
            .inc_by(found.inventory.damaged_bytes());
        let shared = Arc::new(shared(folder.clone(), found, limits, metrics, trace));
        let writer = Writer::start(Arc::clone(&shared)).map_err(|cause| error("write", cause))?;
        let handle = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::Thread)?;
        let thread = WriterThread::new(Arc::clone(&shared), handle);
        Ok(Self::new(shared, thread))
    }

    /// What this folder holds. Changes nothing. While a node uses the folder,
    /// its last frames may seem cut.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn inspect(folder: &Path) -> Result<Inventory, JournalError> {
        let found = recovery::read(folder).map_err(|cause| JournalError::Open {
            act: "read",
            folder: folder.to_owned(),
            cause,
        })?;
        Ok(found.inventory)
    }
}

fn shared(
    folder: PathBuf,
    found: Recovered,
    limits: JournalLimits,
    metrics: Arc<StreamMetrics>,
    trace: Option<Arc<AckTrace>>,
) -> Shared {
    // The numbers of lost entries are given again, so the journal takes a new
    // id: other nodes would take its entries for those that they had before.
    let id = found.id.filter(|_| found.inventory.damage.is_empty());
    let state = State {
        next_entry: found.next_entry,
        settled: found.progress.settled,
        taken: found.progress.taken,
        used: found.segments.iter().map(|segment| segment.bytes).sum(),
        segments: found.segments,
        ..State::default()
    };
    Shared {
        id: id.unwrap_or_else(|| JournalId(rand::random())),
        limits,
        synced: watch::Sender::new(state.next_entry),
        failing: watch::Sender::new(false),
        state: Mutex::new(state),
        work: Condvar::new(),
        metrics,
        trace,
        folder,
    }
}

/// Makes the folder, so that it is there after a power cut.
fn make(folder: &Path) -> io::Result<()> {
    let is_there = folder.is_dir();
    files::own_dir(folder)?;
    if is_there {
        return Ok(());
    }
    for above in folder.ancestors().skip(1).take(2) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Cuts the files where their frames end, and removes files without frames.
fn mend(segments: &mut VecDeque<Segment>) -> io::Result<()> {
    for segment in segments.iter().filter(|segment| segment.bytes > 0) {
        // This also gives back space that was reserved and not needed.
        if segment.file.metadata()?.len() > segment.bytes {
            let file = File::options().write(true).open(&segment.path)?;
            file.set_len(segment.bytes)?;
        }
    }
    for empty in segments.iter().filter(|segment| segment.bytes == 0) {
        fs::remove_file(&empty.path)?;
    }
    segments.retain(|segment| segment.bytes > 0);
    Ok(())
}

fn log(inventory: &Inventory, folder: &Path) {
    for damage in &inventory.damage {
        let bytes = damage.bytes.end - damage.bytes.start;
        let (file, at) = (damage.file.display(), damage.bytes.start);
        if damage.is_tail {
            tracing::warn!(
                %file, at, bytes,
                "cut an unfinished write off the journal; none of it was acknowledged, unless \
                 the disk lost what it had confirmed"
            );
        } else {
            tracing::error!(%file, at, bytes, "a part of the journal cannot be read");
        }
    }
    if inventory.missing > 0 {
        tracing::error!(
            folder = %folder.display(),
            records = inventory.missing,
            "records are missing from the journal; those that were in its last write were never \
             acknowledged"
        );
    }
    if inventory.backlog > 0 {
        tracing::info!(
            records = inventory.backlog,
            bytes = inventory.bytes,
            "the journal holds records that are still to be delivered"
        );
    }
}
