//! `GET /metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::context::AdminContext;
use crate::http::response::{accepts, typed};
use crate::stream::{Stream, Streams};
use sluice_delivery::metrics::{Format, Metrics, StreamReadings};
use sluice_leadership::Role;
use sluice_types::lease::Standing;

/// `GET /metrics`: OpenMetrics, or Prometheus' older format.
pub(in crate::http) async fn metrics(
    State(admin): State<Arc<AdminContext>>,
    asked: HeaderMap,
) -> Response {
    let format = match accepts(&asked, "application/openmetrics-text") {
        true => Format::OpenMetrics,
        false => Format::Plain,
    };
    let text = text(&admin.streams, &admin.metrics, format);
    typed(StatusCode::OK, format.content_type(), text)
}

/// All metrics of this node.
pub(in crate::http) fn text(streams: &Streams, metrics: &Metrics, format: Format) -> String {
    for stream in streams.all() {
        stream.metrics.set(readings(&stream));
    }
    metrics.encode(format)
}

/// What the gauges of a stream show now.
fn readings(stream: &Stream) -> StreamReadings {
    let (leader, lease) = match &*stream.controls.role.borrow() {
        Role::Leader(lease) => (matches!(lease.ask(), Standing::Valid(_)), lease.remaining()),
        Role::Follower { .. } => (false, Duration::ZERO),
    };
    let (queue_records, queue_bytes) = stream.depth();
    let journal = stream.journal_status();
    StreamReadings {
        queue_records,
        queue_bytes,
        journal_records: journal.as_ref().map_or(0, |journal| journal.backlog),
        journal_bytes: journal.as_ref().map_or(0, |journal| journal.bytes),
        journal_limit_bytes: journal.as_ref().map_or(0, |journal| journal.limit),
        plugin_failed: stream.plugin.borrow().error.is_some(),
        lease_renewals_late: stream.controls.late_renewals.get(),
        leader,
        epoch: stream.controls.view.borrow().epoch,
        lease_remaining: lease,
        delivery_stalled: stream.stall().map_or(Duration::ZERO, |s| s.duration()),
    }
}
