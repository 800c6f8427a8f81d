//! An answer of a node that goes on.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Response};

use super::{PeerClient, PeerError, Unsigned, transport};
use crate::peer::tail_request::TailRequest;
use crate::peer::target::Target;
use crate::peer::wire;

/// The time until a node has answered, and then how long the answer may go on: the
/// HTTP client knows no answer without an end.
const SUBSCRIPTION_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// The most bytes of the text of a refusal.
const REFUSAL_BYTES: usize = 4096;

/// What a node sends until one side ends it.
#[derive(Debug)]
pub(crate) struct Subscription {
    answer: Response,
    address: String,
}

impl PeerClient {
    /// Asks a node for records as they pass. The caller bounds the time until it has
    /// answered.
    pub(crate) async fn tail(
        &self,
        node: Target<'_>,
        asked: &TailRequest,
    ) -> Result<Subscription, PeerError> {
        let request = Unsigned {
            target: node,
            method: Method::POST,
            path: wire::for_stream("/internal/v1/tail", &self.stream),
            body: serde_json::to_vec(asked).unwrap_or_default().into(),
            limit: SUBSCRIPTION_LIMIT,
        };
        let address = node.address.to_owned();
        let form = self.form_of(&address).await;
        let form = form.map_err(|cause| PeerError::Probe {
            address: address.clone(),
            cause,
        })?;
        let answer = self.send_in_its_form(&request, form).await;
        let answer = answer.map_err(|cause| transport(&address, cause))?;
        let status = answer.status();
        let mut subscription = Subscription { answer, address };
        if status.is_success() {
            return Ok(subscription);
        }
        let mut text = Vec::new();
        while let Some(part) = subscription.next().await? {
            text.extend_from_slice(&part);
            text.truncate(REFUSAL_BYTES);
            if text.len() == REFUSAL_BYTES {
                break;
            }
        }
        Err(PeerError::Status {
            address: subscription.address,
            status: status.as_u16(),
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }
}

impl Subscription {
    /// An answer of the node at this address, which was asked in another way.
    pub(crate) const fn of(answer: Response, address: String) -> Self {
        Self { answer, address }
    }

    /// The next part of the answer; `None` if the node has ended it. Can be
    /// cancelled.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, PeerError> {
        let part = self.answer.chunk().await;
        part.map_err(|cause| transport(&self.address, cause))
    }
}
