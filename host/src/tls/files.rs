//! The files of a node's TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::configs::Configs;
use super::error::TlsError;
use sluice_types::stamp::Stamp;

/// The files of a node's TLS, all PEM.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// The node's certificate and those between it and its authority.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The authorities of clients, if clients show certificates.
    pub(crate) client_authorities: Option<PathBuf>,
}

/// What shows that one of the files has changed.
pub(super) type Stamps = [Option<Stamp>; 3];

impl TlsFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub(super) fn read(&self) -> Result<Configs, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(pem(&self.key))?;
        let authorities = self.client_authorities.as_deref();
        // A client over HTTP can show a token instead; one of a listener cannot.
        let optional = authorities.map(|file| verifier(file, false)).transpose()?;
        let required = authorities.map(|file| verifier(file, true)).transpose()?;
        let config = |verifier: Option<Arc<dyn ClientCertVerifier>>, protocols: &[&[u8]]| {
            let builder = ServerConfig::builder();
            let builder = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            let config = builder.with_single_cert(chain.clone(), key.clone_key());
            let mut config = config.map_err(TlsError::Use)?;
            if authorities.is_some() {
                // A session that is resumed takes over the certificate of an earlier one,
                // which may not count any more.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
            }
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Ok::<_, TlsError>(Arc::new(config))
        };
        Ok(Configs {
            http: config(optional.clone(), &[b"h2", b"http/1.1"])?,
            grpc: config(optional, &[b"h2"])?,
            listener: config(required, &[])?,
        })
    }

    pub(super) fn stamps(&self) -> Stamps {
        [
            Stamp::of(&self.certificate),
            Stamp::of(&self.key),
            self.client_authorities.as_deref().and_then(Stamp::of),
        ]
    }
}

/// Checks the certificates of clients.
fn verifier(file: &Path, is_required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |cause| TlsError::Authority {
        file: file.to_owned(),
        cause,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(TlsError::Use)?;
    }
    let builder = WebPkiClientVerifier::builder(Arc::new(roots));
    let builder = match is_required {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    builder.build().map_err(unusable)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(pem(file))
}

fn pem(file: &Path) -> impl Fn(rustls::pki_types::pem::Error) -> TlsError {
    let file = file.to_owned();
    move |cause| TlsError::Pem {
        file: file.clone(),
        cause,
    }
}
