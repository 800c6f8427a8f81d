//! Why a command on dead letters failed.

use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub(super) enum DlqError {
    #[error("find the dead letter {0}; sluice dlq list shows all that there are")]
    UnknownLetter(String),
    #[error("choose dead letters: give ids, a filter, or --all")]
    NothingChosen,
    #[error("find the leader of the cluster {0}: there is none at the moment")]
    NoLeader(String),
    #[error("find dead letters in {}: there is no such data directory", .0.display())]
    NoDataDir(PathBuf),
}
