//! Why TLS cannot be used.

use std::path::PathBuf;

use thiserror::Error;

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
    #[error("use the authorities of clients in {}", .file.display())]
    Authority {
        file: PathBuf,
        #[source]
        cause: rustls::server::VerifierBuilderError,
    },
    #[error("use the authorities of nodes in {}", .file.display())]
    PeerAuthority {
        file: PathBuf,
        #[source]
        cause: reqwest::Error,
    },
    #[error("read the authorities of nodes in {}", .file.display())]
    PeerFile {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
}
