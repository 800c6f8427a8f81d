//! Which certificates of servers are trusted.

use std::env::var_os;
use std::ffi::OsString;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// The variables of OpenSSL that replace the system's certificates.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TrustError {
    /// This build has no TLS.
    #[error("set up TLS")]
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

/// TLS for requests of sinks, and for those that fetch sinks. The system's
/// certificates are trusted, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name
/// instead; where the system has none, as in an image without one, those that Mozilla
/// trusts.
///
/// # Errors
/// This build has no TLS, or a variable names no certificates.
pub fn tls() -> Result<ClientConfig, TrustError> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a certificate of the system cannot be used");
    }
    let roots = roots(system.certs, var_os)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The authorities that are trusted, with what the variables say.
fn roots(
    certificates: Vec<CertificateDer<'static>>,
    value: impl Fn(&'static str) -> Option<OsString>,
) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        let set = |variable| value(variable).filter(|value| !value.is_empty());
        let named = VARIABLES.map(|variable| Some((variable, set(variable)?)));
        if let Some((variable, value)) = named.into_iter().flatten().next() {
            return Err(TrustError::NoCertificates { variable, value });
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_no_certificates_is_an_error() {
        let of_mozilla = roots(Vec::new(), |_| None).unwrap();
        assert_eq!(of_mozilla.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        let empty = roots(Vec::new(), |_| Some(OsString::new())).unwrap();
        assert_eq!(empty.len(), of_mozilla.len());
        let folder = |variable| (variable == "SSL_CERT_DIR").then(|| "/nothing".into());
        let error = roots(Vec::new(), folder).unwrap_err().to_string();
        assert!(error.contains("SSL_CERT_DIR=/nothing"), "{error}");
    }
}
