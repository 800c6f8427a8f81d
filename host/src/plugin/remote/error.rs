//! Why a component cannot be fetched.

use std::time::Duration;

use thiserror::Error;

use super::blob_error::BlobError;
use super::http_error::HttpError;
use super::registry::RegistryError;

/// The time limit of one fetch, with its repetitions.
pub(super) const FETCH_LIMIT: Duration = Duration::from_secs(300);

/// Why a component cannot be fetched.
#[derive(Debug, Error)]
pub(crate) enum RemoteError {
    /// From a web server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// From a registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// From Consul.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It takes too long.
    #[error(
        "download {0}: it did not arrive within {FETCH_LIMIT:?}; use a server that is nearer, or a \
         smaller component"
    )]
    Late(String),
}
