//! Which certificates of servers are trusted.

use std::env::var_os;
use std::ffi::OsString;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// The variables of OpenSSL that replace the system's certificates.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Why the requests of sinks have no TLS.
#[derive(Debug, Error)]
pub enum TrustError {
    /// This build has no TLS.
    #[error("set up TLS for the requests of sinks")]
    Tls(#[from] rustls::Error),
    /// A variable names certificates that are not there.
    #[error(
        "trust the certificates of {variable}={}: there are none that can be used; name a file \
         (SSL_CERT_FILE) or a directory (SSL_CERT_DIR) of certificates in PEM, or unset it",
        .value.display()
    )]
    NoCertificates {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: OsString,
    },
}

/// TLS for requests of sinks. The system's certificates are trusted, or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead; where the system has none, as in
/// an image without one, those that Mozilla trusts.
pub(super) fn tls() -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a certificate of the system cannot be used");
    }
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        let set = |variable| var_os(variable).filter(|value| !value.is_empty());
        let named = VARIABLES.map(|variable| Some((variable, set(variable)?)));
        if let Some((variable, value)) = named.into_iter().flatten().next() {
            return Err(TrustError::NoCertificates { variable, value });
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
