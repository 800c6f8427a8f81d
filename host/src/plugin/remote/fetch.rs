//! Finds and fetches components, wherever they are.

use std::fmt;

use tokio::time::timeout;

use super::blobs::Blobs;
use super::error::{FETCH_LIMIT, RemoteError};
use super::http::Http;
use super::http_error::HttpSetupError;
use super::registry::{Layer, Registry};
use super::retry::retried;
use crate::plugin::source::{HttpUrl, KvBlob, MAX_COMPONENT_BYTES, RemoteSource};

/// Fetches components.
#[derive(Debug)]
pub(crate) struct Remote {
    http: Http,
    registry: Registry,
    blobs: Blobs,
}

/// A component that was found, but not fetched.
#[derive(Debug)]
pub(in crate::plugin) enum Located {
    Http(HttpUrl),
    Layer(Layer),
    Blob(KvBlob),
}

impl Located {
    /// Where it is.
    pub(in crate::plugin) fn source(&self) -> &dyn fmt::Display {
        match self {
            Self::Http(url) => url,
            Self::Layer(layer) => layer.reference(),
            Self::Blob(blob) => blob,
        }
    }

    /// The component's SHA-256, if it is known before it is fetched.
    pub(in crate::plugin) fn sha256(&self) -> Option<&str> {
        match self {
            Self::Http(_) => None,
            Self::Layer(layer) => Some(layer.sha256()),
            Self::Blob(blob) => Some(blob.sha256()),
        }
    }
}

impl Remote {
    /// Fetches over HTTP, and from this Consul.
    ///
    /// # Errors
    /// There is no TLS.
    pub(crate) fn new(blobs: Blobs) -> Result<Self, HttpSetupError> {
        let http = Http::to_fetch()?;
        Ok(Self {
            registry: Registry::new(http.clone()),
            http,
            blobs,
        })
    }

    /// Finds out which component the source has now.
    ///
    /// # Errors
    /// The source does not answer, or has no component.
    pub(in crate::plugin) async fn locate(
        &self,
        source: &RemoteSource,
    ) -> Result<Located, RemoteError> {
        match source {
            RemoteSource::Http(url) => Ok(Located::Http(url.clone())),
            RemoteSource::Kv(blob) => Ok(Located::Blob(blob.clone())),
            RemoteSource::Oci(reference) => {
                let finding = retried(|| self.registry.layer(reference));
                let layer = in_time(reference, finding).await?;
                Ok(Located::Layer(layer))
            }
        }
    }

    /// Fetches a component. Dropping the future ends that.
    ///
    /// # Errors
    /// It does not arrive, or not in time, or is too large.
    pub(in crate::plugin) async fn fetch(&self, located: &Located) -> Result<Vec<u8>, RemoteError> {
        match located {
            Located::Http(url) => {
                let fetching = retried(|| self.http.download(url.url(), MAX_COMPONENT_BYTES));
                in_time(url, fetching).await
            }
            Located::Layer(layer) => {
                let fetching = retried(|| self.registry.component(layer));
                in_time(layer.reference(), fetching).await
            }
            Located::Blob(blob) => {
                let fetching = retried(|| self.blobs.read(blob));
                in_time(blob, fetching).await
            }
        }
    }
}

async fn in_time<T, E>(
    source: &impl fmt::Display,
    fetching: impl Future<Output = Result<T, E>>,
) -> Result<T, RemoteError>
where
    RemoteError: From<E>,
{
    match timeout(FETCH_LIMIT, fetching).await {
        Ok(fetched) => Ok(fetched?),
        Err(_) => Err(RemoteError::Late(source.to_string())),
    }
}
