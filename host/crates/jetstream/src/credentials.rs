//! Who this node is to the servers: the variables that NATS users expect.

use std::fmt;
use std::path::PathBuf;

use async_nats::{AuthError, ConnectOptions};
use thiserror::Error;

use crate::creds;
use crate::servers::UrlUser;

/// A file that the environment names cannot be used.
#[derive(Debug, Error)]
#[error("read {variable}, {}", .file.display())]
pub struct CredentialError {
    /// The variable that names the file.
    variable: &'static str,
    /// The file.
    file: PathBuf,
    /// The cause.
    #[source]
    cause: std::io::Error,
}

/// What the environment says about users, tokens and certificates.
#[derive(Clone, Default)]
pub struct Credentials {
    creds: Option<PathBuf>,
    nkey: Option<PathBuf>,
    user: Option<(String, String)>,
    token: Option<String>,
    authorities: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads `NATS_CREDS`, `NATS_NKEY`, `NATS_USER` and `NATS_PASSWORD`, `NATS_TOKEN`,
    /// `NATS_CA`, `NATS_CERT` and `NATS_KEY`.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = |name| text(name).map(PathBuf::from);
        Self {
            creds: file("NATS_CREDS"),
            nkey: file("NATS_NKEY"),
            user: text("NATS_USER").zip(text("NATS_PASSWORD").or_else(|| Some(String::new()))),
            token: text("NATS_TOKEN"),
            authorities: file("NATS_CA"),
            certificate: file("NATS_CERT").zip(file("NATS_KEY")),
        }
    }

    /// The options of a connection to servers whose URLs name this user, which counts if
    /// the environment names none. Files are read here, and credentials for each connection.
    pub(crate) fn options(&self, user: Option<UrlUser>) -> Result<ConnectOptions, CredentialError> {
        let mut options = ConnectOptions::new();
        if let Some(file) = &self.creds {
            creds::read(file).map_err(|cause| error("NATS_CREDS", file, cause))?;
            let file = file.clone();
            // They are short-lived with some, so each connection reads them.
            options = ConnectOptions::with_auth_callback(move |nonce| {
                let signed = creds::sign(&file, &nonce);
                async move { signed.map_err(AuthError::new) }
            });
        } else if let Some(file) = &self.nkey {
            let seed = std::fs::read_to_string(file);
            let seed = seed.map_err(|cause| error("NATS_NKEY", file, cause))?;
            options = options.nkey(seed.trim().to_owned());
        } else if let Some((user, password)) = &self.user {
            options = options.user_and_password(user.clone(), password.clone());
        } else if let Some(token) = &self.token {
            options = options.token(token.clone());
        } else if let Some(UrlUser::Named(user, password)) = user {
            options = options.user_and_password(user, password);
        } else if let Some(UrlUser::Token(token)) = user {
            options = options.token(token);
        }
        if let Some(file) = &self.authorities {
            options = options.add_root_certificates(file.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }
}

fn error(variable: &'static str, file: &std::path::Path, cause: std::io::Error) -> CredentialError {
    CredentialError {
        variable,
        file: file.to_owned(),
        cause,
    }
}
