//! What nodes send to a leader for their clients.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::{PeerClient, PeerError};
use crate::peer::delivered::DeliveryAnswer;
use crate::peer::target::Target;
use crate::peer::wire;

impl PeerClient {
    /// Relays a client's request to the leader of a stream, and waits for its answer until the
    /// limit. After an error other than a refusal the leader may have taken it.
    pub(crate) async fn relay(
        &self,
        leader: Target<'_>,
        stream: &str,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, PeerError> {
        let path = wire::for_stream("/internal/v1/relay", stream);
        self.bytes_of(Method::POST, leader, path, request, limit)
            .await
    }

    /// Sends records to the leader of a stream for clients that are not told which of
    /// them were refused, and waits for the outcome until the limit. After an error the
    /// leader may have taken them.
    pub(crate) async fn deliver(
        &self,
        leader: Target<'_>,
        stream: &str,
        request: Bytes,
        limit: Duration,
    ) -> Result<DeliveryAnswer, PeerError> {
        let path = wire::for_stream("/internal/v1/deliver", stream);
        let body = self
            .bytes_of(Method::POST, leader, path, request, limit)
            .await?;
        serde_json::from_slice(&body).map_err(|cause| PeerError::Shape {
            address: leader.address.to_owned(),
            cause,
        })
    }
}
