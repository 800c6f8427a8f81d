//! Everything that can be set for a node: the settings of its parts.

use std::path::PathBuf;
use std::time::Duration;

use crate::data_dir::DataDir;
use crate::diagnostics::DiagnosticsConfig;
use crate::http::{IngestConfig, ServerConfig};
use crate::listeners::ListenersConfig;
use crate::plugin::PluginConfig;
use crate::stream::StreamConfig;
use crate::tls::TlsFiles;
use sluice_access::AccessConfig;
use sluice_leadership::ControlConfig;
use sluice_traces::TracesConfig;

/// The settings of a node.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where this node keeps what must survive a restart.
    pub(crate) data_dir: DataDir,
    /// The node's and the cluster's name, Consul, and the lock. The port to
    /// listen on is replaced by the first one that was bound.
    pub(crate) control: ControlConfig,
    /// The connections of clients.
    pub(crate) server: ServerConfig,
    /// The listeners of protocols that are not HTTP.
    pub(crate) listeners: ListenersConfig,
    /// How many connections a coordinator in this process may have; 0 if there is
    /// none.
    pub(crate) coordinator_connections: usize,
    /// The certificate of this node, if it speaks HTTPS.
    pub(crate) tls: Option<TlsFiles>,
    /// The only authorities that other nodes' certificates may come from.
    pub(crate) peer_authorities: Option<PathBuf>,
    /// Who may do what.
    pub(crate) access: AccessConfig,
    /// The requests of clients.
    pub(crate) ingest: IngestConfig,
    /// How long requests of standard protocols wait for a leader or for room.
    pub(crate) park: Duration,
    /// The version that clients of Elasticsearch are told.
    pub(crate) elasticsearch_version: String,
    /// What sinks may have, and which one runs while no other is wanted.
    pub(crate) plugin: PluginConfig,
    /// The default stream. The others have the same settings.
    pub(crate) stream: StreamConfig,
    /// The most streams, the default one included.
    pub(crate) max_streams: usize,
    /// The file in which acknowledgements are audited.
    pub(crate) trace_acks: Option<PathBuf>,
    /// How spans are sampled and exported, if any are made.
    pub(crate) traces: Option<TracesConfig>,
    /// The most threads that serve connections.
    pub(crate) threads: usize,
    /// What the node tells of itself for a bug report.
    pub(crate) diagnostics: DiagnosticsConfig,
    /// Whether to serve the benchmarks' route.
    pub(crate) baseline: bool,
}
