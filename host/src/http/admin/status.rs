//! `GET /api/v1/status`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::context::AdminContext;
use super::delivery_status::{DeliveryStatus, StallStatus};
use crate::http::response::json;
use crate::stream::{Route, Stream};
use sluice_delivery::JournalStatus;
use sluice_delivery::metrics::StreamMetrics;
use sluice_leadership::Role;
use sluice_types::documents::LeaderAddress;
use sluice_types::lease::Standing;
use sluice_types::plugin::PluginStatus;
use sluice_types::readable::error_field;

/// The status document of a node: of one of its streams.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The node's name.
    pub(crate) node: String,
    /// The version of its program.
    pub(crate) version: String,
    /// `leader`, `follower`, or `suspended`: the lock may still be held, but
    /// not surely enough to write or acknowledge, or no request is taken yet or
    /// any more.
    pub(crate) role: String,
    /// The highest epoch that the node has seen.
    pub(crate) epoch: u64,
    /// The epoch under which this node leads, if it does. Earlier versions, which had
    /// one stream, do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenure: Option<u64>,
    pub(crate) leader: Option<LeaderAddress>,
    /// How long the node may still acknowledge without another proof.
    pub(crate) lease_ms: u64,
    pub(crate) plugin: PluginStatus,
    /// What waits or is being offered.
    pub(crate) queue: QueueStatus,
    /// How the delivery of what waits goes.
    #[serde(default)]
    pub(crate) delivery: DeliveryStatus,
    /// What is on disk and still to be delivered, if there is a journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) journal: Option<JournalView>,
    /// Records, since the process started.
    pub(crate) counters: Counters,
}

/// What waits or is being offered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct QueueStatus {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// Where a journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JournalKind {
    /// On the node's own disk.
    #[default]
    Local,
    /// On a majority of servers.
    Replicated,
}

impl JournalKind {
    const fn of(stream: &Stream) -> Self {
        match stream.is_replicated() {
            true => Self::Replicated,
            false => Self::Local,
        }
    }
}

/// What a journal holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JournalView {
    #[serde(default)]
    pub(crate) kind: JournalKind,
    /// Records that are still to be delivered.
    pub(crate) records: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// Why it cannot be written, if so.
    #[serde(default, with = "error_field")]
    pub(crate) error: Option<String>,
    /// Why the ids of requests cannot be kept for other leaders, if so.
    #[serde(default, with = "error_field", skip_serializing_if = "Option::is_none")]
    pub(crate) ids_error: Option<String>,
}

impl From<JournalStatus> for JournalView {
    fn from(status: JournalStatus) -> Self {
        Self {
            kind: JournalKind::default(),
            records: status.backlog,
            bytes: status.bytes,
            error: status.failure,
            ids_error: status.ids_failure,
        }
    }
}

/// Records, since the process started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Taken into the queue.
    pub(crate) accepted: u64,
    pub(crate) acknowledged: u64,
    /// Refused for good.
    pub(crate) rejected: u64,
    pub(crate) dead_lettered: u64,
    /// Offered to the sink again.
    pub(crate) retried: u64,
}

impl From<&StreamMetrics> for Counters {
    fn from(metrics: &StreamMetrics) -> Self {
        Self {
            accepted: metrics.accepted.get(),
            acknowledged: metrics.acknowledged.get(),
            rejected: metrics.rejected.get(),
            dead_lettered: metrics.dead_lettered.get(),
            retried: metrics.retried.get(),
        }
    }
}

/// `GET /api/v1/status`.
pub(in crate::http) async fn status(
    State(admin): State<Arc<AdminContext>>,
    request: Request<Body>,
) -> Response {
    let (head, _) = request.into_parts();
    match admin.stream_of(&head) {
        Ok(stream) => json(&Status::of(&admin.node, &stream)),
        Err(problem) => problem.response(&head.headers),
    }
}

impl Status {
    /// The epoch of this node's tenure, if it takes requests under one.
    pub(crate) fn leads_under(&self) -> Option<u64> {
        let leads = self.role == "leader";
        leads.then(|| self.tenure.unwrap_or(self.epoch))
    }

    /// Whether it tells more than that another node leads: this one does, or something
    /// waits here, or is wrong.
    pub(in crate::http) fn is_telling(&self) -> bool {
        let journal = self.journal.as_ref();
        self.role != "follower"
            || self.queue.records > 0
            || journal.is_some_and(|journal| journal.records > 0 || journal.error.is_some())
            || self.plugin.error.is_some()
    }

    pub(in crate::http) fn of(node: &str, stream: &Stream) -> Self {
        let (role, leader, lease) = role(node, stream);
        let (records, bytes) = stream.depth();
        Self {
            node: node.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: role.to_owned(),
            epoch: stream.controls.view.borrow().epoch,
            tenure: tenure(stream),
            leader,
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            plugin: stream.plugin.borrow().clone(),
            queue: QueueStatus { records, bytes },
            delivery: DeliveryStatus {
                stalled: stream.stall().map(StallStatus::from),
            },
            journal: stream.journal_status().map(|status| JournalView {
                kind: JournalKind::of(stream),
                ..status.into()
            }),
            counters: Counters::from(&*stream.metrics),
        }
    }
}

/// The role of a node that has a lease. A client that reads `leader` may send at once: a
/// tenure begins after the role has changed, and takes no requests while it ends.
const fn leading(standing: Standing, route: &Route) -> &'static str {
    match (standing, route) {
        (Standing::Valid(_), Route::Local(_)) => "leader",
        (Standing::Valid(_) | Standing::Suspended, _) => "suspended",
        (Standing::Revoked, _) => "follower",
    }
}

/// The epoch under which this node leads.
fn tenure(stream: &Stream) -> Option<u64> {
    match &*stream.controls.role.borrow() {
        Role::Leader(lease) => Some(lease.epoch()),
        Role::Follower { .. } => None,
    }
}

/// The node's role, the leader, and how long the lease still holds.
fn role(node: &str, stream: &Stream) -> (&'static str, Option<LeaderAddress>, Duration) {
    let controls = &stream.controls;
    let lease = match &*controls.role.borrow() {
        Role::Follower { leader } => return ("follower", leader.clone(), Duration::ZERO),
        Role::Leader(lease) => Arc::clone(lease),
    };
    let role = leading(lease.ask(), &stream.route.borrow());
    let address = controls.address.borrow().clone();
    let own = address.map(|address| LeaderAddress {
        node: node.to_owned(),
        address,
    });
    (role, own, lease.remaining())
}

#[cfg(test)]
mod tests {
    use sluice_delivery::{Intake, Queue, QueueLimits};
    use sluice_types::clock::BootTime;

    use super::*;

    #[test]
    fn a_node_is_shown_as_the_leader_while_it_takes_requests() {
        let valid = Standing::Valid(BootTime::now());
        let limits = QueueLimits {
            records: 1,
            bytes: 1,
        };
        let local = Route::Local(Arc::new(Intake::Sink(Queue::new(1, limits))));
        assert_eq!(leading(valid, &local), "leader");
        for other in [Route::Unknown, Route::Stopping] {
            assert_eq!(leading(valid, &other), "suspended", "{other:?}");
        }
        assert_eq!(leading(Standing::Suspended, &local), "suspended");
        assert_eq!(leading(Standing::Revoked, &local), "follower");
    }
}
