//! Why a bundle cannot be made.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub(super) enum DebugError {
    #[error(
        "write {}: it exists; choose another name with --output, or replace it with --force",
        .0.display()
    )]
    Exists(PathBuf),
    #[error("write {}", .file.display())]
    Write {
        file: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("put the archive together")]
    Archive(#[source] io::Error),
    #[error(
        "find the nodes of the cluster {0}: none is registered; is the cluster's name right, and \
         are nodes running?"
    )]
    NoNodes(String),
}
