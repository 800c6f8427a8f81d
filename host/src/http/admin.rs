//! What operators and monitors are shown.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::stream::Route;
use sluice_delivery::metrics::{Metrics, OPENMETRICS, PLAIN, Readings};
use sluice_delivery::{Journal, JournalStatus};
use sluice_leadership::{Controls, Role};
use sluice_types::documents::LeaderAddress;
use sluice_types::lease::Standing;
use sluice_types::plugin::{PluginPhase, PluginStatus};

/// Where a node's answers about itself come from.
#[derive(Clone, Debug)]
pub struct AdminContext {
    /// The node's name.
    pub node: String,
    /// The control side's view.
    pub controls: Controls,
    /// Where requests go.
    pub route: watch::Receiver<Route>,
    /// Which sink runs.
    pub plugin: watch::Receiver<PluginStatus>,
    /// The journal, if there is one.
    pub journal: Option<Journal>,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// `GET /api/v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// Its version.
    pub version: String,
    /// `leader`, `follower`, or `suspended`: the lock may still be held, but
    /// not surely enough to write or acknowledge.
    pub role: String,
    /// The highest epoch that it knows.
    pub epoch: u64,
    /// Who leads.
    pub leader: Option<LeaderAddress>,
    /// For how long it may still acknowledge without another proof.
    pub lease_ms: u64,
    /// Which sink runs.
    pub plugin: PluginStatus,
    /// What waits or is being offered.
    pub queue: QueueStatus,
    /// What is on disk and still to be delivered, if there is a journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalView>,
    /// Since the process started.
    pub counters: Counters,
}

/// What waits or is being offered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Records.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// What a journal holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalView {
    /// Records that are still to be delivered.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why it can not be written, if so.
    pub error: Option<String>,
}

impl From<JournalStatus> for JournalView {
    fn from(status: JournalStatus) -> Self {
        Self {
            records: status.backlog,
            bytes: status.bytes,
            error: status.failure,
        }
    }
}

/// Records, since the process started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counters {
    /// Reservation into the queue.
    pub accepted: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Refused for good.
    pub rejected: u64,
    /// Set aside.
    pub dead_lettered: u64,
    /// Offered again.
    pub retried: u64,
}

impl AdminContext {
    /// The whole status.
    #[must_use]
    pub fn status(&self) -> Status {
        let (role, leader, lease) = match &*self.controls.role.borrow() {
            Role::Follower { leader } => ("follower", leader.clone(), std::time::Duration::ZERO),
            Role::Leader(lease) => {
                let role = match lease.ask() {
                    Standing::Valid(_) => "leader",
                    Standing::Suspended => "suspended",
                    Standing::Revoked => "follower",
                };
                let address = self.controls.address.borrow().clone();
                let own = address.map(|address| LeaderAddress {
                    node: self.node.clone(),
                    address,
                });
                (role, own, lease.remaining())
            }
        };
        let (records, bytes) = self.depth();
        let metrics = &self.metrics;
        Status {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: role.to_owned(),
            epoch: self.controls.view.borrow().epoch,
            leader,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            plugin: self.plugin.borrow().clone(),
            queue: QueueStatus { records, bytes },
            journal: self.journal_view(),
            counters: Counters {
                accepted: metrics.accepted.get(),
                acknowledged: metrics.acknowledged.get(),
                rejected: metrics.rejected.get(),
                dead_lettered: metrics.dead_lettered.get(),
                retried: metrics.retried.get(),
            },
        }
    }

    fn journal_view(&self) -> Option<JournalView> {
        Some(self.journal.as_ref()?.status().into())
    }

    fn depth(&self) -> (usize, usize) {
        match &*self.route.borrow() {
            Route::Local(intake) => intake.depth(),
            _ => (0, 0),
        }
    }

    /// What keeps the node from serving its role, if anything.
    fn unready(&self) -> Option<&'static str> {
        if matches!(*self.route.borrow(), Route::Stopping) {
            Some("the node is stopping")
        } else if !self.controls.view.borrow().session {
            Some("no session with Consul")
        } else if self.plugin.borrow().active.state == PluginPhase::Failed {
            Some("the sink could not be opened")
        } else if self.journal_view().is_some_and(|view| view.error.is_some()) {
            Some("the journal can not be written")
        } else {
            None
        }
    }
}

/// `GET /healthz`: the process lives and its control loop turns.
pub async fn healthz(State(observer): State<Arc<AdminContext>>) -> Response {
    match observer.controls.heartbeat.is_alive() {
        true => plain(StatusCode::OK, "OK"),
        false => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the control loop stands still",
        ),
    }
}

/// `GET /readyz`: ready to serve its role.
pub async fn readyz(State(observer): State<Arc<AdminContext>>) -> Response {
    match observer.unready() {
        None => plain(StatusCode::OK, "OK"),
        Some(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// `GET /api/v1/status`.
pub async fn status(State(observer): State<Arc<AdminContext>>) -> Response {
    // Texts and numbers always have a JSON form.
    let body = serde_json::to_vec(&observer.status()).unwrap_or_default();
    typed(StatusCode::OK, "application/json", body.into())
}

/// `GET /metrics`.
pub async fn metrics(State(observer): State<Arc<AdminContext>>, asked: HeaderMap) -> Response {
    let (leader, lease) = match &*observer.controls.role.borrow() {
        Role::Leader(lease) => (matches!(lease.ask(), Standing::Valid(_)), lease.remaining()),
        Role::Follower { .. } => (false, std::time::Duration::ZERO),
    };
    let (queue_records, queue_bytes) = observer.depth();
    let epoch = observer.controls.view.borrow().epoch;
    let journal = observer.journal_view();
    let text = observer.metrics.encode(Readings {
        queue_records,
        queue_bytes,
        journal_records: journal.as_ref().map_or(0, |journal| journal.records),
        journal_bytes: journal.as_ref().map_or(0, |journal| journal.bytes),
        leader,
        epoch,
        lease,
    });
    let accept = asked
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let is_open = accept.contains("application/openmetrics-text");
    typed(
        StatusCode::OK,
        if is_open { OPENMETRICS } else { PLAIN },
        text.into(),
    )
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    typed(status, "text/plain; charset=utf-8", Body::from(text))
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
