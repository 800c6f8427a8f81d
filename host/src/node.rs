//! A whole node: the only wiring, the owner of every task, and the order in
//! which they end.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::data_dir::DataDir;
use crate::http::admin::AdminContext;
use crate::http::ingest::{Authorization, Follower, ForwardError, Forwarder, Ingest, IngestLimits};
use crate::http::peer as peer_routes;
use crate::http::peer::PeerContext;
use crate::http::{MemoryBudget, Server, ServerError, ServerLimits, Tls, router};
use crate::peer;
use crate::plugin::{
    Ceiling, ControllerConfig, ControllerView, Manifest, PluginController, PluginError, Preparer,
    Report, Store, StoreError,
};
use crate::stream::JournalReceiver;
use crate::stream::JournalSender;
use crate::stream::Route;
use crate::stream::StreamTask;
use sluice_consul as consul;
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{
    Ack, AckTrace, DeadLetterError, DeadLetters, Journal, JournalError, JournalLimits, QueueLimits,
};
use sluice_leadership::{Control, ControlConfig, ControlError, Order};
use sluice_sandbox as sandbox;
use sluice_sandbox::{Compiled, CompiledError, Engine, EngineError, NodeStdout};
use sluice_types::documents::LeaderValue;

/// Descriptors that are kept for everything but client connections: the three
/// instances that a sink may have at a time, and the rest of the node.
const SPARE_DESCRIPTORS: u64 = 3 * sandbox::HANDLES as u64 + 256;
/// The time for idle connections to end, and for stdout to take the rest.
const LEAVING: Duration = Duration::from_secs(1);

/// Everything that can be set.
#[derive(Debug)]
pub struct NodeConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// What clients are told instead: host, and port if other.
    pub advertise: Option<(String, Option<u16>)>,
    /// Where Consul's check asks.
    pub health_listen: SocketAddr,
    /// This node's name.
    pub name: String,
    /// The cluster's name.
    pub cluster: String,
    /// Where this node keeps what must survive a restart.
    pub data_dir: DataDir,
    /// The sink, while no other is asked for.
    pub plugin: Manifest,
    /// Where `file://` sinks may come from.
    pub plugin_dirs: Vec<PathBuf>,
    /// Directories that sinks may be given, beside the node's own.
    pub allowed_dirs: Vec<PathBuf>,
    /// The most memory that a sink may use.
    pub max_memory: usize,
    /// How a node that does not lead answers.
    pub follower: Follower,
    /// The lock's key.
    pub leader_key: String,
    /// The form of its value.
    pub leader_value: LeaderValue,
    /// How long a proof of leadership is good for.
    pub lease: Duration,
    /// The bounds on a request.
    pub request: IngestLimits,
    /// How long requests may take to finish when the node ends.
    pub drain: Duration,
    /// The bounds of the queue.
    pub queue: QueueLimits,
    /// What an acknowledgement means.
    pub ack: Ack,
    /// The most bytes of the journal on disk.
    pub journal_bytes: u64,
    /// The most bytes that are kept of records which no sink takes.
    pub dead_letter_bytes: u64,
    /// The bounds on connections.
    pub server: ServerLimits,
    /// What clients must send as `Authorization`, if anything.
    pub authorization: Option<Authorization>,
    /// Certificate and key, for HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where acknowledgements are audited.
    pub trace_acks: Option<PathBuf>,
    /// Whether the benchmark's route is there.
    pub baseline: bool,
    /// How to reach Consul.
    pub consul: consul::Config,
}

/// Why a node could not start, or had to end.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The data directory can not be used.
    #[error("{act} {}", .path.display())]
    DataDir {
        /// What was tried.
        act: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Sinks must not reach what the node keeps for itself.
    #[error(
        "allow sinks the directory {}: it holds this node's data directory, or lies in it; name \
         another with --allow-dir", .0.display()
    )]
    Allowed(PathBuf),
    /// The trace of acknowledgements can not be written.
    #[error("open the trace file {}", .path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Stdout can not be taken over.
    #[error("take over stdout")]
    Stdout(#[source] io::Error),
    /// No address, certificate or key.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No client for forwarding.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// No WebAssembly.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The compiled sinks can not be kept.
    #[error(transparent)]
    Compiled(#[from] CompiledError),
    /// The last good sink can not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records that no sink takes can not be kept.
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    /// The journal can not be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The Consul variables ask for something impossible.
    #[error("set up the connection to Consul")]
    Consul(#[source] consul::Error),
    /// There is no sink that could run.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The control side could not start.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A part of the node ended on its own, which is a defect.
    #[error("keep {0} running; this is a defect, please report it")]
    Ended(&'static str),
}

/// A node that is about to serve: every socket is bound, the sink is compiled,
/// nothing was accepted yet.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    listener: TcpListener,
    tls: Option<Tls>,
    stdout: NodeStdout,
    rollout: PluginController,
    plugins: ControllerView,
    reports: mpsc::UnboundedSender<Report>,
    letters: DeadLetters,
    journal: Option<Journal>,
    metrics: Arc<Metrics>,
    trace: Option<Arc<AckTrace>>,
}

impl Node {
    /// Binds and prepares everything.
    ///
    /// # Errors
    /// Says what can not be had, and names it.
    pub async fn build(mut config: NodeConfig) -> Result<Self, NodeError> {
        let trace = config.trace_acks.as_deref().map(open_trace).transpose()?;
        let tls = config
            .tls
            .as_ref()
            .map(|(certificate, key)| Tls::from_files(certificate, key));
        let tls = tls.transpose()?;
        config.server.connections = bound_connections(config.server.connections);
        let listener = Server::listen(config.listen)?;
        let stdout = rustix::io::dup(rustix::stdio::stdout())
            .map_err(io::Error::from)
            .and_then(NodeStdout::new)
            .map_err(NodeError::Stdout)?;
        let letters = config.data_dir.path().join("dead-letters");
        let letters = DeadLetters::open(letters, config.dead_letter_bytes)?;
        let metrics = Arc::new(Metrics::new());
        let journal = open_journal(&config, &metrics, trace.as_ref())?;
        let (reports, reported) = mpsc::unbounded_channel();
        let rollout = rollout_config(&config, stdout.clone())?;
        let (rollout, plugins) = PluginController::start(rollout, reported).await?;
        Ok(Self {
            config,
            listener,
            tls,
            stdout,
            rollout,
            plugins,
            reports,
            letters,
            journal,
            metrics,
            trace,
        })
    }

    /// The address that clients can connect to.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` ends, then drains and lets go of everything.
    ///
    /// # Errors
    /// The node could not start, or a part of it ended on its own.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        self.start()?.run(stop).await
    }

    /// Connects the parts, and starts them.
    fn start(self) -> Result<Running, NodeError> {
        let Self {
            config,
            listener,
            tls,
            stdout,
            rollout,
            plugins,
            reports,
            letters,
            journal,
            metrics,
            trace,
        } = self;
        let listen = listener.local_addr().unwrap_or(config.listen);
        let (node_state, active) = (plugins.node_state, plugins.active);
        let control = Control::start(control_config(&config, listen), node_state, active)?;
        let controls = control.controls.clone();
        let forwarder = Forwarder::new(controls.addresses.clone(), tls.is_some())?;
        let (route_in, route) = watch::channel(Route::Unknown);
        let (stop_in, stopping) = watch::channel(false);
        let (step_down_in, step_down) = watch::channel(None);
        let known = plugins.choice.borrow().clone();
        let tenures = StreamTask {
            role: controls.role.clone(),
            stop: stopping,
            drain: config.drain,
            route: route_in,
            known,
            has_failed: false,
            choice: plugins.choice,
            reports,
            orders: control.orders(),
            limits: config.queue,
            metrics: Arc::clone(&metrics),
            ack: config.ack,
            journal: journal.clone(),
            letters: letters.clone(),
            trace,
            peers: controls.peers.clone(),
            step_down,
        };
        let ingest = Arc::new(Ingest {
            route: route.clone(),
            limits: config.request,
            memory: MemoryBudget::new(config.queue.bytes.max(config.request.body)),
            follower: config.follower,
            forwarder,
            metrics: Arc::clone(&metrics),
            authorization: config.authorization,
        });
        let (secret_in, secret) = watch::channel(None);
        let client = consul::Client::new(config.consul.clone()).map_err(NodeError::Consul)?;
        let secret_kept = tokio::spawn(peer::keep(client, config.cluster, secret_in));
        // Ended with the node.
        let mut handing_over = JoinSet::new();
        if let Some(journal) = &journal {
            let swaps = JournalSender {
                node: config.name.clone(),
                journal: journal.clone(),
                role: controls.role.clone(),
                secret: secret.clone(),
                addresses: controls.addresses.clone(),
                tls: tls.is_some(),
                metrics: Arc::clone(&metrics),
            };
            handing_over.spawn(swaps.run());
        }
        let observer = AdminContext {
            node: config.name,
            controls,
            route,
            plugin: plugins.status,
            journal: journal.clone(),
            metrics: Arc::clone(&metrics),
        };
        let internal = peer_routes::router(Arc::new(PeerContext {
            largest: peer_routes::largest(config.request.body),
            secret,
            letters,
            ingest: Arc::clone(&ingest),
            takeover: Arc::new(JournalReceiver::new(ingest.route.clone(), journal.clone())),
            step_down: step_down_in,
            drain: config.drain,
        }));
        let router = router(ingest, Arc::new(observer), internal, config.baseline);
        let server = Server::start(listener, router, tls, config.server, metrics);
        Ok(Running {
            tenures: tokio::spawn(tenures.run()),
            rollout: tokio::spawn(rollout.run()),
            secret_kept,
            handing_over,
            control,
            server,
            stdout,
            stop: stop_in,
            journal,
            _data_dir: config.data_dir,
        })
    }
}

/// A node that serves.
struct Running {
    tenures: JoinHandle<()>,
    rollout: JoinHandle<()>,
    secret_kept: JoinHandle<()>,
    handing_over: JoinSet<()>,
    control: Control,
    server: Server,
    stdout: NodeStdout,
    stop: watch::Sender<bool>,
    journal: Option<Journal>,
    /// Held for its lock.
    _data_dir: DataDir,
}

impl Running {
    async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        self.control.order(Order::Eligible(true)).await;
        let ended = tokio::select! {
            () = stop => None,
            _ = &mut self.tenures => Some("the delivery of messages"),
            _ = &mut self.rollout => Some("the choice of the sink"),
            Some(_) = self.handing_over.join_next() => Some("the hand-over of the journal"),
            _ = &mut self.secret_kept => Some("the watch of the cluster's secret"),
            () = self.control.ended() => Some("the control thread"),
        };
        tracing::info!("stopping");
        // First no new work, then what was begun, then the lock, so that the
        // next leader starts as soon as this one has finished.
        self.stop.send_replace(true);
        self.server.close();
        if ended != Some("the delivery of messages")
            && let Err(error) = self.tenures.await
        {
            tracing::error!(%error, "the delivery of messages ended unexpectedly");
        }
        self.control.shutdown().await;
        self.rollout.abort();
        self.secret_kept.abort();
        self.handing_over.shutdown().await;
        self.server.leave(LEAVING).await;
        if !self.stdout.drained(LEAVING).await {
            tracing::warn!("stdout did not take everything that the sink wrote");
        }
        self.stdout.close();
        if let Some(journal) = self.journal
            && let Err(error) = tokio::task::spawn_blocking(move || journal.close()).await
        {
            tracing::error!(%error, "the journal did not close in order");
        }
        match ended {
            None => Ok(()),
            Some(part) => Err(NodeError::Ended(part)),
        }
    }
}

/// What keeps the sinks needs: what is kept below the data directory, and
/// what manifests may ask for.
fn rollout_config(config: &NodeConfig, stdout: NodeStdout) -> Result<ControllerConfig, NodeError> {
    let in_data_dir = |name: &str| {
        std::path::absolute(config.data_dir.path().join(name)).map_err(|cause| NodeError::DataDir {
            act: "find the data directory",
            path: config.data_dir.path().to_owned(),
            cause,
        })
    };
    let files = in_data_dir("files")?;
    fs::create_dir_all(&files).map_err(|cause| NodeError::DataDir {
        act: "create the folder of the sinks' files",
        path: files.clone(),
        cause,
    })?;
    for directory in &config.allowed_dirs {
        check_allowed(directory, config.data_dir.path())?;
    }
    let preparer = Preparer {
        engine: Engine::new(Some(Compiled::open(in_data_dir("compiled")?)?))?,
        stdout,
        ceiling: Ceiling {
            files,
            directories: config.allowed_dirs.clone(),
            memory: config.max_memory,
            // Nobody waits for a write that takes longer.
            call: config.request.request,
        },
        plugin_dirs: config.plugin_dirs.clone(),
        store: Store::open(in_data_dir("plugin")?)?,
        turn: Mutex::default(),
    };
    Ok(ControllerConfig {
        client: consul::Client::new(config.consul.clone()).map_err(NodeError::Consul)?,
        cluster: config.cluster.clone(),
        node: config.name.clone(),
        flag: config.plugin.clone(),
        preparer: Arc::new(preparer),
    })
}

/// A sink that could write what is kept beside its files could make this node
/// run other code.
fn check_allowed(directory: &Path, data_dir: &Path) -> Result<(), NodeError> {
    let real = |path: &Path| {
        fs::canonicalize(path).map_err(|cause| NodeError::DataDir {
            act: "find the directory",
            path: path.to_owned(),
            cause,
        })
    };
    let (allowed, own) = (real(directory)?, real(data_dir)?);
    let is_files = allowed.starts_with(own.join("files"));
    if own.starts_with(&allowed) || allowed.starts_with(&own) && !is_files {
        return Err(NodeError::Allowed(directory.to_owned()));
    }
    Ok(())
}

fn control_config(config: &NodeConfig, listen: SocketAddr) -> ControlConfig {
    ControlConfig {
        consul: config.consul.clone(),
        cluster: config.cluster.clone(),
        node: config.name.clone(),
        listen,
        advertise: config.advertise.clone(),
        health_listen: config.health_listen,
        leader_key: config.leader_key.clone(),
        leader_value: config.leader_value,
        lease: config.lease,
        data_dir: config.data_dir.path().to_owned(),
    }
}

/// The journal, where acknowledgements need one, or where an earlier one may
/// still hold records.
fn open_journal(
    config: &NodeConfig,
    metrics: &Arc<Metrics>,
    trace: Option<&Arc<AckTrace>>,
) -> Result<Option<Journal>, NodeError> {
    let folder = config.data_dir.path().join("journal");
    if config.ack == Ack::Sink && !folder.exists() {
        return Ok(None);
    }
    let limits = JournalLimits {
        bytes: config.journal_bytes,
        pending: config.queue.bytes,
    };
    let journal = Journal::open(folder, limits, Arc::clone(metrics), trace.cloned())?;
    Ok(Some(journal))
}

fn open_trace(path: &Path) -> Result<Arc<AckTrace>, NodeError> {
    AckTrace::append_to(path)
        .map(Arc::new)
        .map_err(|cause| NodeError::Trace {
            path: path.to_owned(),
            cause,
        })
}

/// Raises the limit on descriptors as far as it goes, and keeps the number of
/// client connections so far below it that nothing else runs out of them.
fn bound_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "could not raise the limit on open files");
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let spare = SPARE_DESCRIPTORS.min(descriptors / 2);
    let most = usize::try_from(descriptors.saturating_sub(spare).max(1));
    let bounded = wanted.min(most.unwrap_or(usize::MAX));
    if bounded < wanted {
        tracing::warn!(
            wanted,
            bounded,
            descriptors,
            "fewer connections than --max-connections, for lack of file descriptors (ulimit -n)"
        );
    }
    bounded
}
