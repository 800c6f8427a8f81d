//! How a node, or a command, reaches nodes.

use std::path::Path;
use std::sync::Arc;

use reqwest::{Certificate, ClientBuilder};

use super::error::TlsError;

/// How nodes are reached: over plain HTTP, or over HTTPS with the authorities that
/// their certificates must come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerTls {
    is_https: bool,
    /// Without, those of the system.
    authorities: Option<Arc<[Certificate]>>,
}

impl PeerTls {
    /// `is_https` says that nodes speak HTTPS. `file` holds the only authorities, in
    /// PEM; without it, those of the system count.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn new(is_https: bool, file: Option<&Path>) -> Result<Self, TlsError> {
        let authorities = file.map(read).transpose()?;
        Ok(Self {
            is_https,
            authorities: authorities.map(Arc::from),
        })
    }

    /// The scheme of the nodes' URLs.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// Lets a client trust the authorities.
    pub(crate) fn configure(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.authorities {
            Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()),
            None => builder,
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
