//! What a node tells of itself for a bug report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::own::OwnNode;
use super::shown::shown;
use crate::diagnostics::{
    DiagnosticsConfig, RecentLines, RecentLog, Redaction, Setting, environment, known_secrets,
};
use crate::history::{Histories, HistoryDocument};
use crate::http::admin::Status;
use crate::http::admin::metrics;
use crate::stream::{Led, Stream};
use sluice_consul::Client;
use sluice_delivery::metrics::{Format, Metrics};
use sluice_types::clock::timestamp;
use sluice_types::stream::DEFAULT_STREAM;

/// How long Consul may take to say its version.
const CONSUL_LIMIT: Duration = Duration::from_secs(2);
/// How long a request waits for those before it.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// A node's part of a bundle.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NodeReport {
    pub(crate) node: String,
    /// When it was made, in RFC 3339.
    pub(crate) at: String,
    pub(crate) versions: Versions,
    /// What it says of the default stream.
    #[serde(flatten)]
    pub(crate) default: StreamPart,
    /// The same of the others, by their names. Nodes of earlier versions do not say it.
    #[serde(default)]
    pub(crate) streams: BTreeMap<String, StreamPart>,
    /// The flags in effect.
    pub(crate) settings: Vec<Setting>,
    /// Variables of other programs that this one reads.
    pub(crate) environment: Vec<Setting>,
    /// In the text form of Prometheus.
    pub(crate) metrics: String,
    pub(crate) log: RecentLines,
}

/// What a node says of a stream.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct StreamPart {
    pub(crate) status: Status,
    /// The leaders that it has seen.
    pub(crate) tenures: Vec<Led>,
    pub(crate) history: HistoryDocument,
}

/// What runs.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Versions {
    pub(crate) sluice: String,
    pub(crate) wasmtime: String,
    /// Name, release and version of the kernel, and the processor's architecture.
    pub(crate) kernel: String,
    /// That of the agent, or why it does not say it.
    pub(crate) consul: String,
}

/// Makes reports.
#[derive(Debug)]
pub(crate) struct Reporter {
    own: Arc<OwnNode>,
    histories: Arc<Histories>,
    metrics: Arc<Metrics>,
    consul: Client,
    settings: Vec<Setting>,
    log: RecentLog,
    secret_files: Arc<[PathBuf]>,
    /// A report takes some megabytes, so there is one at a time.
    turn: Arc<Semaphore>,
}

/// What a reporter reads.
#[derive(Debug)]
pub(crate) struct ReporterParts {
    pub(crate) own: Arc<OwnNode>,
    pub(crate) histories: Arc<Histories>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) consul: Client,
    pub(crate) config: DiagnosticsConfig,
}

impl Reporter {
    pub(crate) fn new(parts: ReporterParts) -> Self {
        let ReporterParts {
            own,
            histories,
            metrics,
            consul,
            config,
        } = parts;
        Self {
            own,
            histories,
            metrics,
            consul,
            settings: config.settings,
            log: config.log,
            secret_files: config.secret_files.into(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until no other report takes memory. The permit is to be kept as long as
    /// this one does.
    ///
    /// # Errors
    /// Others take too long.
    pub(in crate::http) async fn turn(&self) -> Result<OwnedSemaphorePermit, String> {
        let turn = Arc::clone(&self.turn).acquire_owned();
        match timeout(TURN_LIMIT, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err("others read such a report at the moment; try again".to_owned()),
        }
    }

    /// This node's report as JSON, without secrets.
    ///
    /// # Errors
    /// It has no JSON form.
    pub(in crate::http) async fn report(&self) -> Result<Vec<u8>, String> {
        let consul = match timeout(CONSUL_LIMIT, self.consul.version()).await {
            Ok(Ok(version)) => version,
            Ok(Err(error)) => format!("unknown: failed to {}", shown(&error)),
            Err(_) => "unknown: no answer in time".to_owned(),
        };
        let report = NodeReport {
            node: self.own.node.clone(),
            at: timestamp(),
            versions: Versions::with_consul(consul),
            default: self.part(self.own.streams.default_stream()),
            streams: self.others(),
            settings: self.settings.clone(),
            environment: environment(),
            metrics: metrics::text(&self.own.streams, &self.metrics, Format::Plain),
            log: self.log.lines(),
        };
        let files = Arc::clone(&self.secret_files);
        let redacting = tokio::task::spawn_blocking(move || {
            let secrets =
                known_secrets(files.iter().map(PathBuf::as_path as fn(&PathBuf) -> &Path));
            let text = serde_json::to_string(&report).map_err(|error| error.to_string())?;
            Ok::<_, String>(Redaction::of(secrets).text(&text).into_bytes())
        });
        redacting.await.map_err(|error| error.to_string())?
    }

    fn others(&self) -> BTreeMap<String, StreamPart> {
        let all = self.own.streams.all();
        let others = all.iter().filter(|stream| stream.name != DEFAULT_STREAM);
        others
            .map(|stream| (stream.name.clone(), self.part(stream)))
            .collect()
    }

    fn part(&self, stream: &Arc<Stream>) -> StreamPart {
        StreamPart {
            status: Status::of(&self.own.node, stream),
            tenures: stream.leaders.list(),
            history: self.histories.of(stream, 0),
        }
    }
}

impl Versions {
    /// Of this process, with what Consul says of itself.
    pub(crate) fn with_consul(consul: String) -> Self {
        let uname = rustix::system::uname();
        let parts = [
            uname.sysname(),
            uname.release(),
            uname.version(),
            uname.machine(),
        ];
        let parts = parts.map(|part| part.to_string_lossy().into_owned());
        Self {
            sluice: env!("CARGO_PKG_VERSION").to_owned(),
            wasmtime: env!("SLUICE_WASMTIME_VERSION").to_owned(),
            kernel: parts.join(" "),
            consul,
        }
    }
}
