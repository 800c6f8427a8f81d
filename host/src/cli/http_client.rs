//! The HTTP client of commands that ask nodes.

use std::time::Duration;

use thiserror::Error;

use crate::tls::PeerTls;

#[derive(Debug, Error)]
#[error("set up an HTTP client")]
pub(super) struct HttpClientError(#[source] reqwest::Error);

/// A client that waits for an answer for this long at most.
pub(super) fn http_client(
    tls: &PeerTls,
    answer_timeout: Duration,
) -> Result<reqwest::Client, HttpClientError> {
    tls.configure(reqwest::Client::builder())
        .no_proxy()
        .timeout(answer_timeout)
        .build()
        .map_err(HttpClientError)
}
