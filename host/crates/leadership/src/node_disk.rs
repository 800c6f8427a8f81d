//! What a node keeps on its disk for its next process: the highest epoch and
//! the sessions that it may still have. A disk that fails or hangs keeps no
//! node from leading, so failures are logged and waits are bounded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::epoch_file::EpochFile;
use super::session_file::SessionFile;
use sluice_types::error_chain::chain;

/// How long the caller of a write waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// A node's disk, or that of a node in a simulated world.
#[derive(Clone, Debug)]
pub(super) enum NodeDisk {
    Files(Files),
    #[cfg(test)]
    Simulated(crate::simulation::SimulatedDisk),
}

/// The files in the data directory.
#[derive(Clone, Debug)]
pub(super) struct Files {
    epoch: Arc<EpochFile>,
    sessions: Arc<SessionFile>,
    /// Held by the one write that is under way: a disk that hangs blocks one
    /// thread, not all that there are.
    writing: Arc<Mutex<()>>,
}

impl NodeDisk {
    /// The disk with this data directory, whose epoch file is open already.
    pub(super) fn open(data_dir: &Path, epoch: EpochFile) -> Self {
        Self::Files(Files {
            epoch: Arc::new(epoch),
            sessions: Arc::new(SessionFile::open(data_dir)),
            writing: Arc::default(),
        })
    }

    /// The highest epoch that is on disk.
    pub(super) fn highest_epoch(&self) -> u64 {
        match self {
            Self::Files(files) => files.epoch.highest(),
            #[cfg(test)]
            Self::Simulated(disk) => disk.highest_epoch(),
        }
    }

    /// The sessions that earlier processes may have left.
    pub(super) fn earlier_sessions(&self) -> Vec<String> {
        match self {
            Self::Files(files) => files.sessions.earlier().to_vec(),
            #[cfg(test)]
            Self::Simulated(disk) => disk.earlier_sessions(),
        }
    }

    /// Returns once the epoch is on disk, or the disk has failed or taken too
    /// long. If the epoch is not on disk, it can go back only if the
    /// coordinator loses its state.
    pub(super) async fn remember_epoch(&self, epoch: u64) {
        if epoch <= self.highest_epoch() {
            return;
        }
        match self {
            Self::Files(files) => {
                let file = Arc::clone(&files.epoch);
                files.write("the epoch", move || file.raise(epoch)).await;
            }
            #[cfg(test)]
            Self::Simulated(disk) => disk.remember_epoch(epoch).await,
        }
    }

    /// As [`Self::remember_epoch`], for a session that was opened.
    pub(super) async fn add_session(&self, id: String) {
        match self {
            Self::Files(files) => {
                let file = Arc::clone(&files.sessions);
                files.write("a session's id", move || file.add(id)).await;
            }
            #[cfg(test)]
            Self::Simulated(disk) => disk.add_session(id).await,
        }
    }

    /// As [`Self::remember_epoch`], for a session that has ended.
    pub(super) async fn remove_session(&self, id: String) {
        match self {
            Self::Files(files) => {
                let file = Arc::clone(&files.sessions);
                let remove = move || file.remove(&id);
                files.write("that a session has ended", remove).await;
            }
            #[cfg(test)]
            Self::Simulated(disk) => disk.remove_session(id).await,
        }
    }
}

impl Files {
    /// Writes away from this thread.
    async fn write<E>(
        &self,
        what: &'static str,
        write: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) where
        E: std::error::Error + Send + 'static,
    {
        let writing = Arc::clone(&self.writing);
        let written = async move {
            let turn = writing.lock_owned().await;
            let write = move || {
                let _turn = turn;
                write()
            };
            tokio::task::spawn_blocking(write).await
        };
        let error = match tokio::time::timeout(WRITE_TIMEOUT, written).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => chain(&error),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("it takes longer than {WRITE_TIMEOUT:?}"),
        };
        tracing::error!(error, "could not keep {what} on disk");
    }
}
