//! Asks a node by its routes for peers.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::secret::{SIGNATURE, Secret};
use super::wire::{self, Removed, StepDownAnswer, StepDownRequest, TransferAnswer};
use sluice_delivery::{JournalId, Letter};
use sluice_types::record_document::RecordDocument;
use sluice_types::stream::DEFAULT_STREAM;

/// The time for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A node did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum PeerError {
    #[error("set up an HTTP client")]
    Setup(#[source] reqwest::Error),
    /// There was no answer.
    #[error("ask the node at {address}")]
    Transport {
        address: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("ask the node at {address}: it answered {status}: {text}")]
    Status {
        address: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        text: String,
    },
    #[error("read the answer of the node at {address}")]
    Shape {
        address: String,
        #[source]
        cause: serde_json::Error,
    },
}

/// What happened to records that were sent to the leader: those that are not
/// named here were acknowledged.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Taken {
    pub(crate) rejected: Vec<Rejected>,
}

/// A record that was not acknowledged.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Rejected {
    /// Its place among the records.
    pub(crate) index: usize,
    pub(crate) reason: String,
}

/// Sends signed requests to nodes, all for one stream.
#[derive(Debug)]
pub(crate) struct PeerClient {
    http: reqwest::Client,
    scheme: &'static str,
    secret: Secret,
    stream: String,
}

impl PeerClient {
    /// A client for the default stream. `tls`: the nodes speak HTTPS.
    pub(crate) fn new(secret: Secret, tls: bool) -> Result<Self, PeerError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .build()
            .map_err(PeerError::Setup)?;
        let scheme = if tls { "https" } else { "http" };
        Ok(Self {
            http,
            scheme,
            secret,
            stream: DEFAULT_STREAM.to_owned(),
        })
    }

    /// The same for another stream.
    #[must_use]
    pub(crate) fn for_stream(self, stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            ..self
        }
    }

    /// Lists the dead letters of a node.
    pub(crate) async fn dead_letters(&self, address: &str) -> Result<Vec<Letter>, PeerError> {
        self.ask(
            Method::GET,
            address,
            "/internal/v1/dead-letters",
            Vec::new(),
        )
        .await
    }

    /// Removes dead letters from a node; returns how many of them existed.
    pub(crate) async fn remove(&self, address: &str, ids: &[String]) -> Result<u64, PeerError> {
        let body = serde_json::to_vec(ids).unwrap_or_default();
        let path = "/internal/v1/dead-letters/remove";
        let removed: Removed = self.ask(Method::POST, address, path, body).await?;
        Ok(removed.removed)
    }

    /// Sends records to the leader, and waits for their outcome. After an error
    /// the leader may have taken them.
    pub(crate) async fn records(
        &self,
        address: &str,
        records: &[&RecordDocument],
    ) -> Result<Taken, PeerError> {
        let body = serde_json::to_vec(records).unwrap_or_default();
        self.ask(Method::POST, address, "/internal/v1/records", body)
            .await
    }

    /// Sends frames of a journal to the leader. After an error it may have taken
    /// them.
    pub(crate) async fn transfer(
        &self,
        address: &str,
        journal: JournalId,
        frames: Vec<u8>,
    ) -> Result<TransferAnswer, PeerError> {
        let path = format!("/internal/v1/handover/{}", hex::encode(journal.0));
        self.ask(Method::POST, address, &path, frames).await
    }

    /// Asks the leader to hand over, and does not wait for it. After an error it
    /// may do so all the same.
    pub(crate) async fn step_down(
        &self,
        address: &str,
        to: Option<String>,
    ) -> Result<StepDownAnswer, PeerError> {
        let body = serde_json::to_vec(&StepDownRequest { to }).unwrap_or_default();
        let path = "/internal/v1/step-down";
        self.ask(Method::POST, address, path, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        address: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, PeerError> {
        let transport = |cause| PeerError::Transport {
            address: address.to_owned(),
            cause,
        };
        let path = wire::for_stream(path, &self.stream);
        let signature = self.secret.sign(method.as_str(), &path, &body);
        let url = format!("{}://{address}{path}", self.scheme);
        let request = self.http.request(method, url);
        let sent = request.header(SIGNATURE, signature).body(body).send().await;
        let answer = sent.map_err(transport)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(transport)?;
        if !status.is_success() {
            return Err(PeerError::Status {
                address: address.to_owned(),
                status: status.as_u16(),
                text: String::from_utf8_lossy(&body).into_owned(),
            });
        }
        serde_json::from_slice(&body).map_err(|cause| PeerError::Shape {
            address: address.to_owned(),
            cause,
        })
    }
}
