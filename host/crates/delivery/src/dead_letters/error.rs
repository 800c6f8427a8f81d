//! What can go wrong with the dead letters.

use std::path::PathBuf;

use thiserror::Error;

/// The dead letters cannot be used.
#[derive(Debug, Error)]
pub enum DeadLetterError {
    /// The file cannot be opened.
    #[error("open the dead letters in {}", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// The cause.
        #[source]
        cause: redb::Error,
    },
    /// The thread that writes cannot be started.
    #[error("start the thread that keeps dead letters")]
    Thread(#[source] std::io::Error),
    /// The file cannot be read or written.
    #[error("use the dead letters")]
    Use(#[source] redb::Error),
    /// A letter does not have the form that this version knows.
    #[error("read the dead letter {id}")]
    Form {
        /// The letter.
        id: String,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// The thread that writes has ended.
    #[error("keep dead letters: the node is stopping")]
    Stopped,
}
