//! Why a server's answer cannot be used.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use thiserror::Error;

use super::retry::MayPass;
use sluice_sandbox::TrustError;

pub(super) const MAX_REDIRECTS: usize = 5;

/// There is no HTTP client.
#[derive(Debug, Error)]
pub(crate) enum HttpSetupError {
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TrustError),
    /// Another part is missing.
    #[error("set up an HTTP client for downloads")]
    Client(#[source] reqwest::Error),
}

/// Why a server's answer cannot be used.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    /// The server cannot be reached, or stops in the middle.
    #[error("request {url}: {}", trouble(.cause, *.stall))]
    Transport {
        /// What was requested.
        url: Shown,
        /// How long the server may be silent.
        stall: Duration,
        /// The client's error.
        #[source]
        cause: reqwest::Error,
    },
    /// The server refuses, or is out of order.
    #[error(
        "request {url}: the server answers {status}; check the address and what the server has there"
    )]
    Status {
        /// What was requested.
        url: Shown,
        /// The answer.
        status: StatusCode,
    },
    /// The redirects do not end.
    #[error(
        "request {0}: it is redirected more than {MAX_REDIRECTS} times; name the address that the \
         redirects lead to"
    )]
    Redirects(Shown),
    /// A redirect leads out of TLS.
    #[error(
        "request {url}: it is redirected to {to}, without TLS, which is not followed; have the \
         server redirect to https"
    )]
    Downgrade {
        /// What was requested.
        url: Shown,
        /// Where it leads.
        to: Shown,
    },
    /// A redirect leads nowhere.
    #[error("request {0}: it is redirected to what is not an http or https address")]
    Location(Shown),
    /// The answer is larger than any that is read.
    #[error(
        "request {url}: the answer has more than {limit} bytes, the most that is read; is it a \
         component?"
    )]
    TooLarge {
        /// What was requested.
        url: Shown,
        /// The limit in bytes.
        limit: u64,
    },
}

fn trouble(cause: &reqwest::Error, stall: Duration) -> String {
    if cause.is_connect() {
        "this node cannot reach the server; check the address and the network".to_owned()
    } else if cause.is_timeout() {
        format!("the server sent nothing for {stall:?}; check whether it works")
    } else {
        "the server's answer breaks off; check whether it works".to_owned()
    }
}

impl MayPass for HttpError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(status)
            }
            _ => false,
        }
    }
}

/// An address as errors show it: without its query, which may hold a signature.
#[derive(Debug)]
pub(crate) struct Shown(String);

impl From<&Url> for Shown {
    fn from(url: &Url) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        Self(url.into())
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
