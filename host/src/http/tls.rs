//! HTTPS: the certificate of a node.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error("read {}", .file.display())]
    Pem {
        file: PathBuf,
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// The certificate and the key do not belong together.
    #[error("use the TLS certificate and key")]
    Use(#[source] rustls::Error),
}

/// Where a certificate chain and its key are, both PEM.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Accepts TLS connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(crate) fn from_files(files: &TlsFiles) -> Result<Self, TlsError> {
        let pem = |file: &PathBuf| {
            let file = file.clone();
            move |cause| TlsError::Pem { file, cause }
        };
        let chain = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect)
            .map_err(pem(&files.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem(&files.key))?;
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Use)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The same for clients that speak HTTP/2, and say so if they say anything.
    pub(super) fn for_http2(&self) -> Self {
        let mut config = rustls::ServerConfig::clone(self.0.config());
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    /// Does the handshake on a new connection.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> std::io::Result<TlsStream<S>> {
        self.0.accept(stream).await
    }
}
