//! Asks a node by its routes for peers.

mod for_clients;
mod for_page;
mod subscription;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::form::Form;
use super::secret::Secret;
use super::signature::{CONTENT_DIGEST, SIGNATURE, SignedHead, content_digest, digest_of};
use super::target::Target;
use super::wire::{
    self, AssistRequest, Assisted, Removed, StepDownAnswer, StepDownRequest, TransferAnswer,
};
use crate::rejects::Reject;
use crate::tls::PeerTls;
use sluice_delivery::{JournalId, Letter};
use sluice_types::record_document::RecordDocument;
use sluice_types::stream::DEFAULT_STREAM;
pub(crate) use subscription::Subscription;

/// The time for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// The time to connect to a node, and for its answer to an empty question.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long an idle connection is kept. The node closes it after a minute.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// A route that refuses a request that is not signed, and says in which form it
/// takes signatures.
pub(crate) const PROBED: &str = "/internal/v1/dead-letters";

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
    /// It did not answer the first, empty question, so nothing else was sent.
    #[error("reach the node at {address}")]
    Probe {
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
#[derive(Clone, Debug)]
pub(crate) struct PeerClient {
    http: reqwest::Client,
    scheme: &'static str,
    secret: Secret,
    stream: String,
    /// The form that each node takes, by its address.
    forms: Arc<Mutex<HashMap<String, Form>>>,
}

/// A request, before it is signed.
#[derive(Debug)]
struct Unsigned<'a> {
    target: Target<'a>,
    method: Method,
    path: String,
    body: Bytes,
    /// The time for the answer.
    limit: Duration,
}

impl PeerClient {
    /// A client for the default stream. `tls`: the nodes speak HTTPS.
    pub(crate) fn new(secret: Secret, tls: &PeerTls) -> Result<Self, PeerError> {
        let http = tls
            .configure(reqwest::Client::builder())
            .no_proxy()
            // A signed request goes to the node that it was made for.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .timeout(ANSWER_LIMIT)
            .build()
            .map_err(PeerError::Setup)?;
        Ok(Self {
            http,
            scheme: tls.scheme(),
            secret,
            stream: DEFAULT_STREAM.to_owned(),
            forms: Arc::default(),
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

    /// A client for another stream, which shares the connections of this one.
    pub(crate) fn of_stream(self: &Arc<Self>, stream: &str) -> Arc<Self> {
        match self.stream == stream {
            true => Arc::clone(self),
            false => Arc::new(Self::clone(self).for_stream(stream)),
        }
    }

    /// Lists the dead letters of a node.
    pub(crate) async fn dead_letters(&self, node: Target<'_>) -> Result<Vec<Letter>, PeerError> {
        self.ask(Method::GET, node, PROBED, Vec::new()).await
    }

    /// Lists what the decoders of a node rejected lately.
    pub(crate) async fn rejects(&self, node: Target<'_>) -> Result<Vec<Reject>, PeerError> {
        let path = "/internal/v1/rejects";
        self.ask(Method::GET, node, path, Vec::new()).await
    }

    /// Removes dead letters from a node; returns how many of them existed.
    pub(crate) async fn remove(&self, node: Target<'_>, ids: &[String]) -> Result<u64, PeerError> {
        let body = serde_json::to_vec(ids).unwrap_or_default();
        let path = "/internal/v1/dead-letters/remove";
        let removed: Removed = self.ask(Method::POST, node, path, body).await?;
        Ok(removed.removed)
    }

    /// Sends records to the leader, and waits for their outcome. After an error
    /// the leader may have taken them.
    pub(crate) async fn records(
        &self,
        leader: Target<'_>,
        records: &[&RecordDocument],
    ) -> Result<Taken, PeerError> {
        let body = serde_json::to_vec(records).unwrap_or_default();
        self.ask(Method::POST, leader, "/internal/v1/records", body)
            .await
    }

    /// Sends frames of a journal to the leader. After an error it may have taken
    /// them.
    pub(crate) async fn transfer(
        &self,
        leader: Target<'_>,
        journal: JournalId,
        frames: Vec<u8>,
    ) -> Result<TransferAnswer, PeerError> {
        let path = format!("/internal/v1/handover/{}", hex::encode(journal.0));
        self.ask(Method::POST, leader, &path, frames).await
    }

    /// Asks the leader to hand over, and does not wait for it. After an error it
    /// may do so all the same.
    pub(crate) async fn step_down(
        &self,
        leader: Target<'_>,
        request: &StepDownRequest,
    ) -> Result<StepDownAnswer, PeerError> {
        let body = serde_json::to_vec(request).unwrap_or_default();
        let path = "/internal/v1/step-down";
        self.ask(Method::POST, leader, path, body).await
    }

    /// Asks a node to ask Consul for this one.
    pub(crate) async fn assist(
        &self,
        node: Target<'_>,
        request: &AssistRequest,
        limit: Duration,
    ) -> Result<bool, PeerError> {
        let body = serde_json::to_vec(request).unwrap_or_default();
        let path = "/internal/v1/assist";
        let body = self.bytes(Method::POST, node, path, body.into(), limit);
        let answer: Result<Assisted, _> = serde_json::from_slice(&body.await?);
        let answer = answer.map_err(|cause| PeerError::Shape {
            address: node.address.to_owned(),
            cause,
        });
        answer.map(|answer| answer.done)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: Target<'_>,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, PeerError> {
        let body = self.bytes(method, target, path, body.into(), ANSWER_LIMIT);
        serde_json::from_slice(&body.await?).map_err(|cause| PeerError::Shape {
            address: target.address.to_owned(),
            cause,
        })
    }

    async fn bytes(
        &self,
        method: Method,
        target: Target<'_>,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, PeerError> {
        let path = wire::for_stream(path, &self.stream);
        self.bytes_of(method, target, path, body, limit).await
    }

    async fn bytes_of(
        &self,
        method: Method,
        target: Target<'_>,
        path: String,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, PeerError> {
        let request = Unsigned {
            target,
            method,
            path,
            body,
            limit,
        };
        let address = target.address;
        let form = self.form_of(address).await;
        let form = form.map_err(|cause| PeerError::Probe {
            address: address.to_owned(),
            cause,
        })?;
        let answer = self
            .send_in_its_form(&request, form)
            .await
            .map_err(|cause| transport(address, cause))?;
        let status = answer.status();
        let body = answer.bytes().await;
        let body = body.map_err(|cause| transport(address, cause))?;
        if !status.is_success() {
            return Err(PeerError::Status {
                address: address.to_owned(),
                status: status.as_u16(),
                text: String::from_utf8_lossy(&body).into_owned(),
            });
        }
        Ok(body)
    }

    /// Sends the request in the form that the node takes. The node may have been
    /// replaced by one of another version meanwhile, which refuses that form.
    async fn send_in_its_form(
        &self,
        request: &Unsigned<'_>,
        form: Form,
    ) -> reqwest::Result<Response> {
        let answer = self.send(request, form).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let taken = Form::of_refusal(answer.headers());
        if taken == form {
            return Ok(answer);
        }
        self.remember(request.target.address, taken);
        self.send(request, taken).await
    }

    /// The form that a node takes. The first time the node is asked, by a
    /// request that is not signed: it answers without reading a body.
    async fn form_of(&self, address: &str) -> reqwest::Result<Form> {
        let known = self.forms().get(address).copied();
        if let Some(form) = known {
            return Ok(form);
        }
        let url = format!("{}://{address}{PROBED}", self.scheme);
        let answer = self.http.get(url).timeout(CONNECT_LIMIT).send().await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            // It can check no signature yet, so it says nothing about the form.
            return Ok(Form::Current);
        }
        let form = Form::of_refusal(answer.headers());
        self.remember(address, form);
        Ok(form)
    }

    async fn send(&self, request: &Unsigned<'_>, form: Form) -> reqwest::Result<Response> {
        let Unsigned {
            target,
            method,
            path,
            body,
            limit,
        } = request;
        let url = format!("{}://{}{path}", self.scheme, target.address);
        let sent = self.http.request(method.clone(), url);
        let sent = sent.timeout(*limit).body(body.clone());
        let digest = digest_of(body);
        let signed = match form {
            Form::Current => {
                let head = SignedHead {
                    node: target.node,
                    method: method.as_str(),
                    path,
                    length: u64::try_from(body.len()).unwrap_or(u64::MAX),
                    digest: &digest,
                };
                sent.header(CONTENT_DIGEST, content_digest(&digest))
                    .header(SIGNATURE, self.secret.sign(&head))
            }
            Form::Old => {
                let signature = self.secret.sign_old(method.as_str(), path, &digest);
                sent.header(SIGNATURE, signature)
            }
        };
        signed.send().await
    }

    fn forms(&self) -> std::sync::MutexGuard<'_, HashMap<String, Form>> {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, address: &str, form: Form) {
        self.forms().insert(address.to_owned(), form);
    }
}

fn transport(address: &str, cause: reqwest::Error) -> PeerError {
    PeerError::Transport {
        address: address.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::header::WWW_AUTHENTICATE;
    use axum::http::{HeaderMap, HeaderValue};
    use axum::response::IntoResponse;
    use axum::routing::{get, post};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::peer::form::CHALLENGE;

    /// A node of the version before, or of this one; counts its refusals.
    async fn node(form: Form, refusals: Arc<AtomicUsize>) -> String {
        let answer = move |headers: HeaderMap| {
            let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
            let is_current = signature.is_some_and(|value| value.starts_with("2."));
            let is_taken = signature.is_some() && is_current == (form == Form::Current);
            if !is_taken {
                refusals.fetch_add(1, Ordering::Relaxed);
            }
            async move {
                let mut headers = HeaderMap::new();
                if form == Form::Current {
                    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
                }
                match is_taken {
                    true => r#"{"removed":1}"#.into_response(),
                    false => (StatusCode::UNAUTHORIZED, headers).into_response(),
                }
            }
        };
        let router = Router::new()
            .route(PROBED, get(answer.clone()))
            .route("/internal/v1/dead-letters/remove", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn client() -> PeerClient {
        drop(rustls::crypto::ring::default_provider().install_default());
        PeerClient::new(Secret::new(b"secret"), &PeerTls::default()).unwrap()
    }

    #[tokio::test]
    async fn a_node_is_asked_in_the_form_that_it_takes() {
        let client = client();
        for form in [Form::Old, Form::Current] {
            let refusals = Arc::new(AtomicUsize::new(0));
            let address = node(form, Arc::clone(&refusals)).await;
            let target = Target {
                node: "a",
                address: &address,
            };
            for _ in 0..2 {
                assert_eq!(client.remove(target, &[]).await.unwrap(), 1, "{form:?}");
            }
            assert_eq!(
                refusals.load(Ordering::Relaxed),
                1,
                "only the first question"
            );
        }
    }

    #[tokio::test]
    async fn a_node_that_was_replaced_by_one_of_another_version_is_asked_anew() {
        for (before, form) in [(Form::Old, Form::Current), (Form::Current, Form::Old)] {
            let client = client();
            let address = node(form, Arc::default()).await;
            client.remember(&address, before);
            let target = Target {
                node: "a",
                address: &address,
            };
            assert_eq!(client.remove(target, &[]).await.unwrap(), 1, "{form:?}");
        }
    }
}
