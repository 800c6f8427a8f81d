//! Asking a node by its internal routes.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::secret::{SIGNATURE, Secret};
use super::wire::{Removed, StepDownAnswer, StepDownRequest, TransferAnswer};
use crate::hex::hex;
use sluice_delivery::{JournalId, Letter};
use sluice_types::record_document::RecordDocument;

/// The time for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A node did not do as it was asked.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The client could not be set up.
    #[error("set up an HTTP client")]
    Setup(#[source] reqwest::Error),
    /// No answer.
    #[error("ask the node at {address}")]
    Transport {
        /// Where.
        address: String,
        /// Why not.
        #[source]
        cause: reqwest::Error,
    },
    /// An answer that says no.
    #[error("ask the node at {address}: it answered {status}: {text}")]
    Status {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        text: String,
    },
    /// An answer that is none.
    #[error("read the answer of the node at {address}")]
    Shape {
        /// Where.
        address: String,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
}

/// What became of records that were handed to the leader.
#[derive(Debug, serde::Deserialize)]
pub struct Taken {
    /// How many were acknowledged.
    pub accepted: u64,
    /// Those that were not.
    pub rejected: Vec<Rejected>,
}

/// A record that was not taken.
#[derive(Debug, serde::Deserialize)]
pub struct Rejected {
    /// Its place.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// Signs what it asks.
#[derive(Debug)]
pub struct PeerClient {
    http: reqwest::Client,
    scheme: &'static str,
    secret: Secret,
}

impl PeerClient {
    /// A client for nodes that speak HTTPS or HTTP.
    ///
    /// # Errors
    /// It could not be set up.
    pub fn new(secret: Secret, tls: bool) -> Result<Self, PeerError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()
            .map_err(PeerError::Setup)?;
        let scheme = if tls { "https" } else { "http" };
        Ok(Self {
            http,
            scheme,
            secret,
        })
    }

    /// The dead letters of a node.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn dead_letters(&self, address: &str) -> Result<Vec<Letter>, PeerError> {
        self.ask(
            Method::GET,
            address,
            "/internal/v1/dead-letters",
            Vec::new(),
        )
        .await
    }

    /// Removes dead letters from a node; how many were there.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn remove(&self, address: &str, ids: &[String]) -> Result<u64, PeerError> {
        let body = serde_json::to_vec(ids).unwrap_or_default();
        let path = "/internal/v1/dead-letters/remove";
        let removed: Removed = self.ask(Method::POST, address, path, body).await?;
        Ok(removed.removed)
    }

    /// Hands records to the leader, and waits for what becomes of them.
    ///
    /// # Errors
    /// No usable answer; it may have taken them.
    pub async fn records(
        &self,
        address: &str,
        records: &[&RecordDocument],
    ) -> Result<Taken, PeerError> {
        let body = serde_json::to_vec(records).unwrap_or_default();
        self.ask(Method::POST, address, "/internal/v1/records", body)
            .await
    }

    /// Hands frames of a journal to the leader.
    ///
    /// # Errors
    /// No usable answer; it may have taken them.
    pub async fn hand_over(
        &self,
        address: &str,
        journal: JournalId,
        frames: Vec<u8>,
    ) -> Result<TransferAnswer, PeerError> {
        let path = format!("/internal/v1/handover/{}", hex(&journal.0));
        self.ask(Method::POST, address, &path, frames).await
    }

    /// Asks the leader to hand over, and does not wait for it.
    ///
    /// # Errors
    /// No usable answer; it may do so all the same.
    pub async fn step_down(
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
        let signature = self.secret.sign(method.as_str(), path, &body);
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
