use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the producer cannot start.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    #[error("set up an HTTP client")]
    Http(#[source] reqwest::Error),
    #[error("use the file {}", .file.display())]
    File {
        file: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("use the PEM file {}", .file.display())]
    Pem {
        file: PathBuf,
        #[source]
        cause: reqwest::Error,
    },
    #[error("use the target {0:?}: expected http://host:port, with or without a path")]
    Target(String),
}
