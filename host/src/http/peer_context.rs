//! What the routes for other nodes and the command line work with, and the check
//! of the signature before each.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Uri};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::audited::{Action, refused};
use super::client_address::ClientAddress;
use super::cluster::{OwnNode, Reporter};
use super::ingest::{Ingest, Standard};
use super::peer_problem::PeerProblem;
use super::signed_body::{OldForm, SignedBodies, SignedBody, SignedBodyLimits};
use super::tail::TailContext;
use crate::history::Histories;
use crate::peer::{PROBED, SIGNATURE, Secret, wire};
use crate::stream::Stream;
use sluice_protocols::memory_budget::MemoryBudget;

/// The least limit on a body, in bytes.
const LEAST_BODY_LIMIT: usize = 32 << 20;

/// What the routes for peers work with.
#[derive(Debug)]
pub(crate) struct PeerContext {
    bodies: SignedBodies,
    /// For what other nodes send for their clients. It counts with what clients send
    /// here, so that it holds up no hand-over and no command.
    relayed: SignedBodies,
    pub(super) ingest: Arc<Ingest>,
    pub(super) standard: Arc<Standard>,
    pub(super) histories: Arc<Histories>,
    pub(super) watched: Arc<TailContext>,
    pub(super) own: Arc<OwnNode>,
    pub(super) reporter: Arc<Reporter>,
}

/// What the routes for peers need of their node.
#[derive(Debug)]
pub(crate) struct PeerParts {
    pub(crate) own: Arc<OwnNode>,
    /// What nodes sign with.
    pub(crate) secret: watch::Receiver<Option<Secret>>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) standard: Arc<Standard>,
    pub(crate) histories: Arc<Histories>,
    pub(crate) watched: Arc<TailContext>,
    pub(crate) reporter: Arc<Reporter>,
}

impl PeerContext {
    pub(crate) fn new(parts: PeerParts) -> Self {
        let PeerParts {
            own,
            secret,
            ingest,
            standard,
            histories,
            watched,
            reporter,
        } = parts;
        let limits = SignedBodyLimits {
            // A record can be as large as the body of a client, and takes more
            // space in its other forms.
            body: (2 * ingest.limits.body).max(LEAST_BODY_LIMIT),
            time: ingest.limits.request,
        };
        let node = &own.node;
        let own_memory = MemoryBudget::new(limits.body);
        let of_clients = Arc::clone(ingest.memory());
        Self {
            bodies: SignedBodies::new(node.clone(), secret.clone(), limits, own_memory),
            relayed: SignedBodies::new(node.clone(), secret, limits, of_clients),
            ingest,
            standard,
            histories,
            watched,
            own,
            reporter,
        }
    }
}

/// A request whose signature is right.
pub(super) struct Admitted {
    pub(super) stream: Arc<Stream>,
    pub(super) headers: HeaderMap,
    from: Option<IpAddr>,
    pub(super) body: SignedBody,
}

impl Admitted {
    /// The body as the JSON of a document.
    pub(super) fn document<T: DeserializeOwned>(&self) -> Result<T, PeerProblem> {
        serde_json::from_slice(&self.body.bytes)
            .map_err(|error| PeerProblem::Malformed(error.to_string()))
    }
}

impl PeerContext {
    /// Checks the signature, reads the body, and finds the stream.
    pub(super) async fn admit(&self, request: Request<Body>) -> Result<Admitted, PeerProblem> {
        self.admit_form(request, OldForm::Refused).await
    }

    /// The same for what a node sends for its clients.
    pub(super) async fn admit_relayed(
        &self,
        request: Request<Body>,
    ) -> Result<Admitted, PeerProblem> {
        self.admit_by(&self.relayed, request, OldForm::Refused)
            .await
    }

    pub(super) async fn admit_form(
        &self,
        request: Request<Body>,
        old_form: OldForm,
    ) -> Result<Admitted, PeerProblem> {
        self.admit_by(&self.bodies, request, old_form).await
    }

    async fn admit_by(
        &self,
        bodies: &SignedBodies,
        request: Request<Body>,
        old_form: OldForm,
    ) -> Result<Admitted, PeerProblem> {
        let (head, body) = request.into_parts();
        let read = bodies.read(&head, body, old_form).await;
        let body = read.inspect_err(|problem| self.refused(&head, problem))?;
        Ok(Admitted {
            stream: self.stream(&head.uri)?,
            from: head.extensions.get().map(|ClientAddress(from)| *from),
            headers: head.headers,
            body,
        })
    }

    /// Writes to the audit log that a request is not signed as it must be.
    fn refused(&self, head: &Parts, problem: &PeerProblem) {
        let is_probe = head.uri.path() == PROBED && !head.headers.contains_key(SIGNATURE);
        if let Some(why) = problem.of_signature().filter(|_| !is_probe) {
            let what = format!("{} {:.80}", head.method, head.uri.path());
            refused(self.ingest.access(), None, head, &what, why);
        }
    }

    /// Something that somebody does who has the cluster's secret: a node, or the command
    /// line.
    pub(super) fn action(&self, admitted: &Admitted, what: &str) -> Action {
        let who = "the cluster's secret".to_owned();
        Action::begin(self.ingest.access(), who, admitted.from, what)
    }

    fn stream(&self, uri: &Uri) -> Result<Arc<Stream>, PeerProblem> {
        let name = wire::stream_of(uri.query());
        let stream = self.ingest.streams().get(name);
        stream.ok_or(PeerProblem::NoStream)
    }
}
