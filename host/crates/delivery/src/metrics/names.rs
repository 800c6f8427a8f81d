//! The name of every metric, without the prefix `sluice`, its unit and the
//! suffix `total`.

use prometheus_client::registry::Unit;

/// What a metric is registered as.
pub(super) struct MetricName {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
}

const fn unitless(name: &'static str, help: &'static str) -> MetricName {
    let unit = None;
    MetricName { name, help, unit }
}

const fn seconds(name: &'static str, help: &'static str) -> MetricName {
    let unit = Some(Unit::Seconds);
    MetricName { name, help, unit }
}

/// The prefix of every metric.
pub(super) const PREFIX: &str = "sluice";
/// The label that names a metric's stream.
pub(super) const STREAM: &str = "stream";

pub(super) const CONNECTIONS: MetricName = unitless("connections", "Open client connections");

pub(super) const LISTENER_CONNECTIONS: MetricName = unitless(
    "listener_connections",
    "Open connections of listeners, by protocol",
);
pub(super) const LISTENER_DROPPED: MetricName = unitless(
    "listener_datagrams_dropped",
    "Datagrams that could not be kept until the sink takes them, by protocol",
);

pub(super) const LISTENER_NO_STREAM: MetricName = unitless(
    "listener_no_stream",
    "Attempts to deliver what listeners received for a stream that is not there, by protocol",
);

pub(super) const SINK_REFUSED: MetricName = unitless(
    "sink_refused",
    "What sinks tried and may not do, and limits that they reached, by kind",
);

pub(super) const SPANS: MetricName = unitless(
    "spans",
    "Spans of traces, by whether they were exported, found no room, or were not taken",
);

pub(super) const INGEST_RECORDS: MetricName = unitless(
    "ingest_records",
    "Records that clients sent to this node, by protocol and outcome",
);
pub(super) const ACKNOWLEDGE: MetricName = seconds(
    "acknowledge",
    "Time from the receipt of a request to its acknowledgement, by protocol",
);

pub(super) const RECORDS_ACCEPTED: MetricName =
    unitless("records_accepted", "Records taken into the queue");
pub(super) const RECORDS_ACKNOWLEDGED: MetricName = unitless(
    "records_acknowledged",
    "Records acknowledged to their producers",
);
pub(super) const RECORDS_DELIVERED: MetricName =
    unitless("records_delivered", "Records that the sink confirmed");
pub(super) const RECORDS_TRANSFERRED: MetricName = unitless(
    "records_handed_over",
    "Records of the journal that the leader took over",
);
pub(super) const RECORDS_REJECTED: MetricName =
    unitless("records_rejected", "Records refused for good");
pub(super) const DECODER_REJECTS: MetricName = unitless(
    "decoder_rejects",
    "Records, bodies and connections that a decoder refused",
);
pub(super) const DECODER_REJECTS_DROPPED: MetricName = unitless(
    "decoder_rejects_dropped",
    "Of these, those that cannot be shown any more, or never could",
);
pub(super) const RECORDS_DEAD_LETTERED: MetricName =
    unitless("records_dead_lettered", "Records set aside");
pub(super) const RECORDS_RETRIED: MetricName =
    unitless("records_retried", "Records offered to the sink again");
pub(super) const SINK_RESTARTS: MetricName =
    unitless("sink_restarts", "Instances of the sink that broke");
pub(super) const SINK_SWAPS: MetricName = unitless(
    "sink_swaps",
    "Sinks that replaced another without a change of leader",
);
pub(super) const SINK_WRITES: MetricName = unitless(
    "sink_writes_under_way",
    "Writes of the sink that are under way",
);
pub(super) const SINK_ROLLBACKS: MetricName = unitless(
    "sink_rollbacks",
    "New sinks that gave way to their predecessor while they were on probation",
);
pub(super) const SINK_WRITE: MetricName = seconds("sink_write", "Duration of the sink's write");
pub(super) const DELIVERY_STALLED: MetricName = seconds(
    "delivery_stalled",
    "How long attempts to deliver have failed without a success; 0 if they have not",
);
pub(super) const REQUESTS_QUEUE_FULL: MetricName =
    unitless("requests_queue_full", "Requests answered 429");
pub(super) const REQUESTS_UNKNOWN: MetricName =
    unitless("requests_unknown", "Requests answered 504");
pub(super) const QUEUE_RECORDS: MetricName =
    unitless("queue_records", "Records waiting or being offered");
pub(super) const QUEUE_BYTES: MetricName =
    unitless("queue_bytes", "Bytes waiting or being offered");
pub(super) const JOURNAL_RECORDS: MetricName = unitless(
    "journal_records",
    "Records in the journal that are still to be delivered",
);
pub(super) const JOURNAL_BYTES: MetricName =
    unitless("journal_bytes", "The journal's size on disk");
pub(super) const JOURNAL_LIMIT_BYTES: MetricName = unitless(
    "journal_limit_bytes",
    "The size on disk at which the journal takes nothing more",
);
pub(super) const JOURNAL_SYNC: MetricName =
    seconds("journal_sync", "Duration of the journal's syncs");
pub(super) const JOURNAL_PUBLISH: MetricName = seconds(
    "journal_publish",
    "Duration until a message of the replicated journal was stored",
);
pub(super) const JOURNAL_MISSING: MetricName = unitless(
    "journal_missing",
    "Messages of the replicated journal that were missing when it was read",
);
pub(super) const JOURNAL_DAMAGED_BYTES: MetricName = unitless(
    "journal_damaged_bytes",
    "Bytes of the journal that could not be read at the start",
);
pub(super) const LEADER: MetricName = unitless("leader", "1 while this node may acknowledge");
pub(super) const EPOCH: MetricName = unitless("epoch", "The highest epoch this node knows");
pub(super) const LEASE_REMAINING: MetricName =
    seconds("lease_remaining", "How long the lease is still valid");
pub(super) const LEASE_RENEWALS_LATE: MetricName = unitless(
    "lease_renewals_late",
    "Proofs of leadership that came when less than a third of the lease was left",
);
pub(super) const PLUGIN_FAILED: MetricName = unitless(
    "plugin_failed",
    "1 while the sink that is asked for cannot run here, or was taken back",
);
