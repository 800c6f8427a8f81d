use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a sink cannot get what it is granted.
#[derive(Debug, Error)]
pub enum GrantError {
    /// A directory does not exist or cannot be opened.
    #[error("open the directory {} for the sink (permissions.dirs)", .path.display())]
    Open {
        /// The part of the path that could not be opened.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        cause: io::Error,
    },
    /// A symbolic link in the path could lead anywhere.
    #[error(
        "open the directory {} for the sink: it is a symbolic link or not a directory; name a \
         real directory", .0.display()
    )]
    Link(PathBuf),
    /// Opening the directories takes longer than a call may.
    #[error("open the directories of the sink within {} s", .0.as_secs())]
    Slow(Duration),
    /// The opening thread panicked.
    #[error("open the directories of the sink; this is a defect, please report it")]
    Panicked(#[source] tokio::task::JoinError),
    /// Wasmtime refuses a directory.
    #[error("give the directory {} to the sink", .path.display())]
    Give {
        /// The directory.
        path: PathBuf,
        /// Wasmtime's reason.
        #[source]
        cause: wasmtime::Error,
    },
}
