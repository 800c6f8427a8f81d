//! What the web page asks other nodes.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::{PeerClient, PeerError};
use crate::peer::letters::{LetterPage, LetterQuery, ReadLetters};
use crate::peer::target::Target;

/// The time for the report of a node.
const DEBUG_LIMIT: Duration = Duration::from_secs(20);

impl PeerClient {
    /// What a node says of itself to the page of another one, `view` of
    /// `crate::http::cluster`.
    pub(crate) async fn view<T: DeserializeOwned>(&self, node: Target<'_>) -> Result<T, PeerError> {
        self.ask(Method::GET, node, "/internal/v1/view", Vec::new())
            .await
    }

    /// What a node says of its streams, `streams` of `crate::http::cluster`.
    pub(crate) async fn streams<T: DeserializeOwned>(
        &self,
        node: Target<'_>,
    ) -> Result<T, PeerError> {
        self.ask(Method::GET, node, "/internal/v1/streams", Vec::new())
            .await
    }

    /// What a node tells of itself for a bug report, as JSON.
    pub(crate) async fn debug(&self, node: Target<'_>) -> Result<Bytes, PeerError> {
        let (path, empty) = ("/internal/v1/debug", Bytes::new());
        self.bytes(Method::GET, node, path, empty, DEBUG_LIMIT)
            .await
    }

    /// The last 15 minutes of a node, as it keeps them.
    pub(crate) async fn history<T: DeserializeOwned>(
        &self,
        node: Target<'_>,
    ) -> Result<T, PeerError> {
        self.ask(Method::GET, node, "/internal/v1/history", Vec::new())
            .await
    }

    /// The latest dead letters of a node that a query admits, without their records.
    pub(crate) async fn find_letters(
        &self,
        node: Target<'_>,
        query: &LetterQuery,
    ) -> Result<LetterPage, PeerError> {
        let body = serde_json::to_vec(query).unwrap_or_default();
        let path = "/internal/v1/dead-letters/find";
        self.ask(Method::POST, node, path, body).await
    }

    /// The dead letters of a node with these ids, as many of them as fit into an
    /// answer, in their order.
    pub(crate) async fn read_letters(
        &self,
        node: Target<'_>,
        ids: &[String],
    ) -> Result<ReadLetters, PeerError> {
        let body = serde_json::to_vec(ids).unwrap_or_default();
        let path = "/internal/v1/dead-letters/read";
        self.ask(Method::POST, node, path, body).await
    }
}
