//! A whole node: the only wiring, the owner of every task, and the order in
//! which they end.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::descriptors::limit_connections;
use crate::http::ingest::{ForwardError, Forwarder, Ingest, NodeFacts, Relay, Standard};
use crate::http::{
    BoundServer, OtherNodes, Server, ServerError, Speech, WorkerThreads, Workers, routes,
};
use crate::listeners::{BoundListeners, ListenError, Listeners, Outlets};
use crate::peer::{self, LeaderClient, Secret};
use crate::plugin::{Blobs, ControllerConfig, LastResort, Preparer, PreparerError, WatchedKeys};
use crate::shown::{Shown, ShownParts};
use crate::stream::{
    KeeperParts, NodeAccess, PreparedStream, SpreadParts, StreamError, StreamKeeper, StreamStore,
    StreamTasks, Streams, spread,
};
use crate::tls::{PeerTls, TlsError, TlsKeeper, TlsUse};
use crate::traces::{Traces, TracesError};
use sluice_access::{Access, AccessError, Audit, Keeper};
use sluice_consul as consul;
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{AckTrace, QueueBudget};
use sluice_leadership::{Control, ControlError, Order, StreamOrder};
use sluice_sandbox::{NodeStdout, Refusals};
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::DEFAULT_STREAM;
use sluice_types::trace::Tracer;

/// The time for connections that are idle, and then for what sinks have printed,
/// to end with the node.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// The time for what clients of listeners have sent before the node ends.
const LISTENERS_LIMIT: Duration = Duration::from_secs(2);

/// Why a node cannot start, or had to end.
#[derive(Debug, Error)]
pub(crate) enum NodeError {
    #[error("open the trace file {}", .path.display())]
    Trace {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("start the threads that serve connections")]
    Threads(#[source] io::Error),
    #[error("take over stdout")]
    Stdout(#[source] io::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
    #[error(transparent)]
    Preparer(#[from] PreparerError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("set up the connection to Consul")]
    Consul(#[source] consul::Error),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("keep {0} running; this is a defect, please report it")]
    Ended(&'static str),
}

/// A node that is ready to serve: the ports for clients are bound, the sink is compiled,
/// nothing was accepted yet. The health listener is bound by [`Control::start`].
#[derive(Debug)]
pub(crate) struct Node {
    config: Config,
    server: BoundServer,
    listeners: BoundListeners,
    /// Looks after the files of the certificate.
    tls: Option<TlsKeeper>,
    /// How other nodes are reached.
    peer_tls: PeerTls,
    access: Arc<Access>,
    /// Looks after the file of tokens.
    tokens: Option<Keeper>,
    stdout: NodeStdout,
    metrics: Arc<Metrics>,
    traces: Traces,
    /// The default stream.
    stream: PreparedStream,
    /// Prepares the sinks of the others.
    preparer: Arc<Preparer>,
    trace: Option<Arc<AckTrace>>,
}

impl Node {
    /// Binds and prepares everything.
    pub(crate) async fn build(mut config: Config) -> Result<Self, NodeError> {
        let trace = config.trace_acks.as_deref().map(open_trace).transpose()?;
        let others = config.coordinator_connections
            + config.server.addresses()
            + config.listeners.listeners.len()
            + config.listeners.connections;
        config.server.connections =
            limit_connections(config.server.connections, others, config.threads);
        let tls = config.tls.take().map(TlsKeeper::open).transpose()?;
        let tls_for = |used| tls.as_ref().map(|keeper| keeper.tls(used));
        let server = BoundServer::bind(&config.server, tls_for(TlsUse::Http))?;
        config.control.listen = server.address();
        let listeners = BoundListeners::bind(&config.listeners, tls_for(TlsUse::Listener))?;
        let peer_tls = PeerTls::new(tls.is_some(), config.peer_authorities.as_deref())?;
        let (access, tokens) = std::mem::take(&mut config.access).build()?;
        // Not for the processes that this one starts.
        let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 0)
            .map_err(io::Error::from)
            .and_then(NodeStdout::new)
            .map_err(NodeError::Stdout)?;
        let metrics = Arc::new(Metrics::new());
        let control = &config.control;
        let (name, cluster) = (&control.node, &control.cluster);
        let traces = Traces::start(config.traces.as_ref(), name, cluster, &metrics)?;
        let folder = config.data_dir.path();
        let stream = config.stream.clone();
        let stream_metrics = metrics.stream(&stream.name);
        let store = StreamStore::open(stream, folder, stream_metrics, trace.clone())?;
        let preparer = Arc::new(preparer(&config, stdout.clone(), &metrics)?);
        let stream = store.prepare(plugins(&config, &preparer)?).await?;
        Ok(Self {
            config,
            server,
            listeners,
            tls,
            peer_tls,
            access: Arc::new(access),
            tokens,
            stdout,
            metrics,
            traces,
            stream,
            preparer,
            trace,
        })
    }

    /// The addresses that clients can connect to, and what they speak there.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (SocketAddr, Speech)> + '_ {
        self.server.addresses()
    }

    /// Serves until `stop` ends, then drains and releases everything.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        self.start()?.run(stop).await
    }

    /// Connects the parts, and starts them.
    fn start(self) -> Result<Running, NodeError> {
        let config = self.config;
        let (workers, threads) = Workers::start(config.threads).map_err(NodeError::Threads)?;
        let (cluster, node) = (config.control.cluster.clone(), config.control.node.clone());
        let consul = config.control.consul.clone();
        let client = consul::Client::new(consul).map_err(NodeError::Consul)?;
        let facts = facts(&config);
        let plugins = &self.stream.plugins;
        let (node_state, active) = (plugins.node_state.clone(), plugins.active.clone());
        let mut control = Control::start(config.control, node_state, active)?;
        let (secret_in, secret) = watch::channel(None);
        let addresses = control.controls.addresses.clone();
        let nodes = OtherNodes::new(addresses, control.controls.address.clone());
        let tracer = self.traces.tracer();
        let queues = QueueBudget::new(config.stream.queue.bytes, config.max_streams);
        let access = access(&node, &control, &secret, (self.peer_tls, tracer, queues));
        let leaders = LeaderClient::new(&access.controls, secret.clone(), access.tls.clone());
        let relay = Arc::new(Relay::new(Arc::clone(&leaders)));
        let pleas = pass_on_pleas(&mut control, &access, &leaders);
        let (stream, tasks) = self.stream.start(&access);
        let streams = Streams::new(Arc::new(stream));
        let keeper = StreamKeeper::start(KeeperParts {
            client: client.clone(),
            keys: ClusterKeys::new(cluster.as_str()),
            config: config.stream,
            max_streams: config.max_streams,
            folder: config.data_dir.path().join("streams"),
            metrics: Arc::clone(&self.metrics),
            trace: self.trace,
            preparer: self.preparer,
            flag: config.plugin.default,
            elector: control.elector.clone(),
            access: access.clone(),
            streams: streams.clone(),
        });
        let forwarder = Forwarder::new(Arc::clone(&leaders))?;
        let rights = self.access;
        let audit = rights.audit().clone();
        let tracer = self.traces.of_requests(self.tls.is_some());
        let ingest = Ingest::new(config.ingest, &rights, &streams, forwarder, tracer);
        let standard = Standard::new(Arc::clone(&ingest), Arc::clone(&relay), facts, config.park);
        let shown = Shown::of(ShownParts {
            access: &access,
            rights,
            cluster: &cluster,
            consul: &client,
            streams,
            leaders,
            metrics: Arc::clone(&self.metrics),
            diagnostics: config.diagnostics,
        });
        let peers = shown.peer_routes(secret, &ingest, &standard);
        let outlets = Outlets::new(Arc::clone(&ingest), relay);
        let people = shown.people();
        let routes = routes(ingest, standard, people, peers, config.baseline);
        Ok(Running {
            spread: spread(SpreadParts {
                node: node.clone(),
                streams: shown.streams(),
                elector: control.elector.clone(),
                orders: control.orders(),
                pins: keeper.pins.clone(),
            }),
            streams: vec![tasks],
            keeper: Some(keeper),
            secret: tokio::spawn(peer::keep(client, cluster, secret_in)),
            pleas,
            files: keep_files(self.tokens, self.tls, &access.tls),
            history: tokio::spawn(shown.histories.keep()),
            tenures: tokio::spawn(shown.tenures.follow(node, access.controls)),
            control,
            listeners: self.listeners.start(&outlets, &self.metrics, &workers),
            server: self.server.start(routes, nodes, self.metrics, workers),
            _threads: threads,
            stdout: self.stdout,
            audit,
            traces: self.traces,
            _data_dir: config.data_dir,
        })
    }
}

/// A node that serves.
#[derive(Debug)]
struct Running {
    /// The default one, and at the end all.
    streams: Vec<StreamTasks>,
    /// Keeps the others.
    keeper: Option<StreamKeeper>,
    /// Spreads them over the nodes.
    spread: JoinHandle<()>,
    /// Keeps the cluster's secret.
    secret: JoinHandle<()>,
    /// Passes on what the control thread asks of other nodes.
    pleas: Option<JoinHandle<()>>,
    /// Read files again when they change: tokens, certificates, authorities of nodes.
    files: [Option<JoinHandle<()>>; 3],
    /// Takes the samples of the streams' histories.
    history: JoinHandle<()>,
    /// Remembers who led when.
    tenures: JoinHandle<()>,
    control: Control,
    listeners: Listeners,
    server: Server,
    /// What connections have begun may go on until the streams have ended.
    _threads: WorkerThreads,
    stdout: NodeStdout,
    audit: Audit,
    traces: Traces,
    /// Held for its lock.
    _data_dir: crate::data_dir::DataDir,
}

impl Running {
    async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let eligible = Order::Stream(DEFAULT_STREAM.into(), StreamOrder::Eligible(true));
        self.control.order(eligible).await;
        let ended = tokio::select! {
            () = stop => None,
            part = self.ended() => Some(part),
        };
        tracing::info!("stopping");
        self.shutdown().await;
        ended.map_or(Ok(()), |part| Err(NodeError::Ended(part)))
    }

    /// Waits until a part has ended by itself, and names it.
    async fn ended(&mut self) -> &'static str {
        let streams = self.streams.iter_mut();
        let streams = streams.map(|stream| Box::pin(stream.ended()));
        let keeper = async {
            match &mut self.keeper {
                Some(keeper) => keeper.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = keeper => "the streams",
            (part, _, _) = select_all(streams) => part,
            _ = &mut self.secret => "the watch of the cluster's secret",
            _ = &mut self.history => "the history",
            _ = &mut self.tenures => "the watch of the leaders",
            _ = &mut self.spread => "the spread of the streams",
            () = self.control.ended() => "the control thread",
        }
    }

    /// First no new work, then what was accepted, then the lock, so that the
    /// next leader starts as soon as this one has finished.
    async fn shutdown(mut self) {
        // What has arrived at listeners is lost with their connections, so it goes
        // while this node may still lead.
        self.listeners.close(LISTENERS_LIMIT).await;
        self.spread.abort();
        if let Some(keeper) = self.keeper.take() {
            self.streams.extend(keeper.stop().await);
        }
        self.streams.iter().for_each(StreamTasks::stop);
        self.server.close();
        // Together, so that they take no longer than one.
        join_all(self.streams.iter_mut().map(StreamTasks::drained)).await;
        self.control.shutdown().await;
        self.listeners.cut();
        self.secret.abort();
        if let Some(pleas) = &self.pleas {
            pleas.abort();
        }
        for watching in self.files.iter().flatten() {
            watching.abort();
        }
        self.history.abort();
        self.tenures.abort();
        join_all(self.streams.iter_mut().map(StreamTasks::end)).await;
        self.server.leave(LEAVE_LIMIT).await;
        if !self.stdout.drained(LEAVE_LIMIT).await {
            tracing::warn!("stdout did not take everything that the sink wrote");
        }
        self.stdout.close();
        join_all(self.streams.into_iter().map(StreamTasks::close)).await;
        self.audit.flush(LEAVE_LIMIT);
        self.traces.close().await;
    }
}

/// What clients of standard protocols are told about the node.
fn facts(config: &Config) -> NodeFacts {
    NodeFacts {
        name: config.control.node.clone(),
        cluster: config.control.cluster.clone(),
        elasticsearch_version: config.elasticsearch_version.clone(),
    }
}

/// Passes on what the control thread asks of other nodes.
fn pass_on_pleas(
    control: &mut Control,
    access: &NodeAccess,
    nodes: &Arc<LeaderClient>,
) -> Option<JoinHandle<()>> {
    let pleas = control.pleas.take()?;
    let (node, peers) = (access.node.clone(), access.controls.peers.clone());
    let passing = peer::pass_on(pleas, node, Arc::clone(nodes), peers);
    Some(tokio::spawn(passing))
}

/// Reads files again when they change: tokens, certificates, authorities of nodes.
fn keep_files(
    tokens: Option<Keeper>,
    tls: Option<TlsKeeper>,
    peers: &PeerTls,
) -> [Option<JoinHandle<()>>; 3] {
    [
        tokens.map(|tokens| tokio::spawn(tokens.keep())),
        tls.map(|tls| tokio::spawn(tls.keep())),
        Some(tokio::spawn(peers.clone().keep())),
    ]
}

/// How this node reaches the others.
fn access(
    node: &str,
    control: &Control,
    secret: &watch::Receiver<Option<Secret>>,
    (tls, tracer, queues): (PeerTls, Option<Arc<dyn Tracer>>, Arc<QueueBudget>),
) -> NodeAccess {
    NodeAccess {
        node: node.to_owned(),
        controls: control.controls.clone(),
        orders: control.orders(),
        secret: secret.clone(),
        tls,
        queues,
        tracer,
    }
}

/// What prepares the sinks of all streams.
fn preparer(
    config: &Config,
    stdout: NodeStdout,
    metrics: &Arc<Metrics>,
) -> Result<Preparer, NodeError> {
    // No client waits for a write that takes longer than a request may.
    let call_limit = config.ingest.limits.request;
    let folder = config.data_dir.path();
    let metrics = Arc::clone(metrics);
    let refusals = Refusals::new(move |refused| metrics.sink_refused(refused.name()));
    let control = &config.control;
    let client = consul::Client::new(control.consul.clone()).map_err(NodeError::Consul)?;
    let blobs = Blobs::new(client, ClusterKeys::new(control.cluster.as_str()));
    let plugin = &config.plugin;
    Ok(plugin.preparer(folder, stdout, call_limit, refusals, blobs)?)
}

/// What the plugin controller of the default stream works with.
fn plugins(config: &Config, preparer: &Arc<Preparer>) -> Result<ControllerConfig, NodeError> {
    let control = &config.control;
    let client = consul::Client::new(control.consul.clone()).map_err(NodeError::Consul)?;
    let preparer = Arc::clone(preparer);
    Ok(ControllerConfig {
        keys: WatchedKeys::follow(&client, &control.keys),
        node: control.node.clone(),
        flag: config.plugin.default.clone(),
        last_resort: LastResort::Flag,
        preparer,
    })
}

fn open_trace(path: &Path) -> Result<Arc<AckTrace>, NodeError> {
    AckTrace::append_to(path)
        .map(Arc::new)
        .map_err(|cause| NodeError::Trace {
            path: path.to_owned(),
            cause,
        })
}
