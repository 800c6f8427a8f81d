//! A whole node: the only wiring, the owner of every task, and the order in
//! which they end.

mod error;
mod running;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::descriptors::limit_connections;
use crate::http::ingest::{Forwarder, Ingest, NodeFacts, Relay, Standard};
use crate::http::{BoundServer, OtherNodes, Speech, Workers, routes};
use crate::listeners::{BoundListeners, Outlets};
use crate::peer::{self, LeaderClient, Secret};
use crate::plugin::{Blobs, ControllerConfig, LastResort, Preparer, WatchedKeys};
use crate::shown::{Shown, ShownParts};
use crate::stream::{
    KeeperParts, NodeAccess, PreparedStream, StreamKeeper, StreamStore, Streams, StreamsConfig,
};
use crate::tls::{PeerTls, TlsKeeper, TlsUse};
use crate::traces::Traces;
pub(crate) use error::NodeError;
use running::Running;
use sluice_access::{Access, Keeper};
use sluice_consul as consul;
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{AckTrace, QueueBudget};
use sluice_leadership::Control;
use sluice_sandbox::{NodeStdout, Refusals};
use sluice_types::keys::ClusterKeys;

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
    /// The others.
    others: StreamsConfig,
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
        let others = other_streams(&config, trace, preparer, &metrics);
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
            others,
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
        let client = client(&config)?;
        let facts = facts(&config);
        let plugins = &self.stream.plugins;
        let (node_state, active) = (plugins.node_state.clone(), plugins.active.clone());
        let mut control = Control::start(config.control, node_state, active)?;
        let (secret_in, secret) = watch::channel(None);
        let nodes = OtherNodes::of(&control.controls);
        let queues = QueueBudget::new(config.stream.queue.bytes, config.max_streams);
        let access = access(
            &node,
            &control,
            &secret,
            (self.peer_tls, &self.traces, queues),
        );
        let leaders = LeaderClient::new(&access.controls, secret.clone(), access.tls.clone());
        let relay = Arc::new(Relay::new(Arc::clone(&leaders)));
        let pleas = pass_on_pleas(&mut control, &access, &leaders);
        let (stream, tasks) = self.stream.start(&access);
        let streams = Streams::new(Arc::new(stream));
        let keeper = keep_streams(self.others, &client, &control, (&access, &streams));
        let forwarder = Forwarder::new(Arc::clone(&leaders))?;
        let tracer = self.traces.of_requests(self.tls.is_some());
        let ingest = Ingest::new(config.ingest, &self.access, &streams, forwarder, tracer);
        let standard = Standard::new(Arc::clone(&ingest), Arc::clone(&relay), facts, config.park);
        let shown = Shown::of(ShownParts {
            access: &access,
            rights: Arc::clone(&self.access),
            cluster: &cluster,
            consul: &client,
            streams,
            leaders,
            metrics: Arc::clone(&self.metrics),
            diagnostics: config.diagnostics,
        });
        let peers = shown.peer_routes(secret, &ingest, &standard);
        let outlets = Outlets::new(Arc::clone(&ingest), relay);
        let routes = routes(ingest, standard, shown.people(), peers, config.baseline);
        Ok(Running {
            streams: vec![tasks],
            keeper: Some(keeper),
            secret: tokio::spawn(peer::keep(client, cluster, secret_in)),
            pleas,
            files: keep_files(self.tokens, self.tls, &access.tls),
            history: tokio::spawn(shown.histories.keep()),
            control,
            listeners: self.listeners.start(&outlets, &self.metrics, &workers),
            server: self.server.start(routes, nodes, self.metrics, workers),
            _threads: threads,
            stdout: self.stdout,
            audit: self.access.audit().clone(),
            traces: self.traces,
            _data_dir: config.data_dir,
        })
    }
}

/// Keeps the streams other than the default one.
fn keep_streams(
    config: StreamsConfig,
    client: &consul::Client,
    control: &Control,
    (access, streams): (&NodeAccess, &Streams),
) -> StreamKeeper {
    StreamKeeper::start(KeeperParts {
        config,
        client: client.clone(),
        elector: control.elector.clone(),
        access: access.clone(),
        streams: streams.clone(),
    })
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
    (tls, traces, queues): (PeerTls, &Traces, Arc<QueueBudget>),
) -> NodeAccess {
    NodeAccess {
        node: node.to_owned(),
        controls: control.controls.clone(),
        documents: control.controls.peers.documents(),
        orders: control.orders(),
        secret: secret.clone(),
        tls,
        queues,
        tracer: traces.tracer(),
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
    let blobs = Blobs::new(
        client(config)?,
        ClusterKeys::new(config.control.cluster.as_str()),
    );
    let plugin = &config.plugin;
    Ok(plugin.preparer(folder, stdout, call_limit, refusals, blobs)?)
}

/// What the plugin controller of the default stream works with.
fn plugins(config: &Config, preparer: &Arc<Preparer>) -> Result<ControllerConfig, NodeError> {
    let control = &config.control;
    let preparer = Arc::clone(preparer);
    Ok(ControllerConfig {
        keys: WatchedKeys::follow(&client(config)?, &control.keys),
        node: control.node.clone(),
        flag: config.plugin.default.clone(),
        last_resort: LastResort::Flag,
        preparer,
    })
}

/// What does not change for the other streams.
fn other_streams(
    config: &Config,
    trace: Option<Arc<AckTrace>>,
    preparer: Arc<Preparer>,
    metrics: &Arc<Metrics>,
) -> StreamsConfig {
    StreamsConfig {
        keys: ClusterKeys::new(config.control.cluster.as_str()),
        config: config.stream.clone(),
        max_streams: config.max_streams,
        folder: config.data_dir.path().join("streams"),
        metrics: Arc::clone(metrics),
        trace,
        preparer,
        flag: config.plugin.default.clone(),
    }
}

/// A client for Consul.
fn client(config: &Config) -> Result<consul::Client, NodeError> {
    consul::Client::new(config.control.consul.clone()).map_err(NodeError::Consul)
}

fn open_trace(path: &Path) -> Result<Arc<AckTrace>, NodeError> {
    AckTrace::append_to(path)
        .map(Arc::new)
        .map_err(|cause| NodeError::Trace {
            path: path.to_owned(),
            cause,
        })
}
