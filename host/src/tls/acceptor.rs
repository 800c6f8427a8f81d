//! Accepts TLS connections with the certificate of now.

use std::sync::Arc;

use rustls::{CertificateError, Error};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::configs::{Configs, TlsUse};

/// Accepts TLS connections.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(super) configs: watch::Receiver<Arc<Configs>>,
    pub(super) used: TlsUse,
}

impl Tls {
    /// The same for connections that are for something else.
    pub(crate) fn used_for(&self, used: TlsUse) -> Self {
        Self {
            configs: self.configs.clone(),
            used,
        }
    }

    /// Does the handshake on a new connection.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> std::io::Result<TlsStream<S>> {
        let config = Arc::clone(self.configs.borrow().of(self.used));
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Why a handshake failed, if it did so because of the client's certificate. The same
/// certificate has the same text at any time, so that the audit log can count it.
pub(crate) fn refused_certificate(error: &std::io::Error) -> Option<String> {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    match error {
        // Their own texts name the time of now.
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            Some("invalid peer certificate: it has expired".to_owned())
        }
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            Some("invalid peer certificate: it is not valid yet".to_owned())
        }
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Some(error.to_string()),
        _ => None,
    }
}
