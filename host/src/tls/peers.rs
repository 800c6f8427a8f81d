//! How a node, or a command, reaches nodes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, ClientBuilder};

use super::error::TlsError;
use sluice_types::error_chain::chain;
use sluice_types::stamp::Stamp;

/// How often the file of authorities is looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How nodes are reached: over plain HTTP, or over HTTPS with the authorities that
/// their certificates must come from. Clones share the authorities.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerTls {
    is_https: bool,
    /// Without, those of the system.
    authorities: Option<Arc<Authorities>>,
}

#[derive(Debug)]
struct Authorities {
    file: PathBuf,
    latest: Mutex<Latest>,
}

#[derive(Debug)]
struct Latest {
    stamp: Option<Stamp>,
    /// Why the file cannot be used now, which is logged once.
    failure: Option<String>,
    certificates: Arc<[Certificate]>,
    /// How often they have changed.
    version: u64,
}

impl PeerTls {
    /// `is_https` says that nodes speak HTTPS. `file` holds the only authorities, in
    /// PEM; without it, those of the system count.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn new(is_https: bool, file: Option<&Path>) -> Result<Self, TlsError> {
        let authorities = file.map(Authorities::open).transpose()?;
        Ok(Self {
            is_https,
            authorities: authorities.map(Arc::new),
        })
    }

    /// The scheme of the nodes' URLs.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// Lets a client trust the authorities of now.
    pub(crate) fn configure(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.authorities {
            Some(authorities) => {
                let certificates = Arc::clone(&authorities.latest().certificates);
                builder.tls_certs_only(certificates.iter().cloned())
            }
            None => builder,
        }
    }

    /// Differs when the authorities have changed: clients are to be made again then.
    pub(crate) fn version(&self) -> u64 {
        let authorities = self.authorities.as_ref();
        authorities.map_or(0, |authorities| authorities.latest().version)
    }

    /// Looks after the file each second, for as long as this is not dropped. A file that
    /// cannot be used changes nothing.
    pub(crate) async fn keep(self) {
        let Some(authorities) = self.authorities else {
            return;
        };
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let looked_at = Arc::clone(&authorities);
            let looking = tokio::task::spawn_blocking(move || looked_at.look());
            // It only fails when the runtime ends.
            if looking.await.is_err() {
                return;
            }
        }
    }
}

impl Authorities {
    fn open(file: &Path) -> Result<Self, TlsError> {
        let latest = Latest {
            stamp: Stamp::of(file),
            failure: None,
            certificates: read(file)?.into(),
            version: 0,
        };
        Ok(Self {
            file: file.to_owned(),
            latest: Mutex::new(latest),
        })
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let found = Stamp::of(&self.file);
        if found.is_some() && found == self.latest().stamp {
            return;
        }
        let read = read(&self.file).map_err(|error| chain(&error));
        // One that is being written may hold none.
        let read = read.and_then(|certificates| match certificates.is_empty() {
            true => Err("there is no certificate".to_owned()),
            false => Ok(certificates),
        });
        let mut latest = self.latest();
        match read {
            Ok(certificates) => {
                tracing::info!("the authorities of nodes have changed");
                latest.certificates = certificates.into();
                latest.version += 1;
                (latest.stamp, latest.failure) = (found, None);
            }
            Err(error) => {
                if latest.failure.as_ref() != Some(&error) {
                    tracing::warn!(error, "using the authorities of nodes as they were before");
                    latest.failure = Some(error);
                }
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<Certificate>, TlsError> {
    let pem = std::fs::read(file).map_err(|cause| TlsError::PeerFile {
        file: file.to_owned(),
        cause,
    })?;
    Certificate::from_pem_bundle(&pem).map_err(|cause| TlsError::PeerAuthority {
        file: file.to_owned(),
        cause,
    })
}
