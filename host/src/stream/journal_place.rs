//! Where a stream's journal is.

use std::path::{Path, PathBuf};

use sluice_jetstream::Connection;

/// Where the journals of a node's streams are.
#[derive(Clone, Debug)]
pub(crate) enum JournalPlace {
    /// Below the data directory.
    DataDir,
    /// Each in a folder of this one.
    Directory(PathBuf),
    /// On the servers of this connection.
    Servers {
        connection: Connection,
        /// The name of the cluster of Sluice.
        cluster: String,
    },
}

impl JournalPlace {
    /// The folder of a local journal. `below` is the stream's part of the data
    /// directory.
    pub(super) fn folder(&self, stream: &str, below: &Path) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.join(stream),
            Self::DataDir | Self::Servers { .. } => below.join("journal"),
        }
    }

    pub(super) const fn is_replicated(&self) -> bool {
        matches!(self, Self::Servers { .. })
    }
}
