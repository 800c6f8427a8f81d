//! The control thread: its runtime, what it is told, and what it publishes.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::sync::{OnceCell, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::active_key;
use super::clock::Clock;
use super::consul_lock::LockKeys;
use super::coordination::Coordination;
use super::driver::{Driver, Tools};
use super::epoch_file::{EpochFile, EpochFileError};
use super::health::{self, Health};
use super::heartbeat::Heartbeat;
use super::lock_client::LockClient;
use super::membership::{Membership, watch_addresses};
use super::node_disk::NodeDisk;
use super::order::Order;
use super::peers::{Peers, watch_nodes};
use super::publisher::{Candidate, Publisher};
use super::role::Role;
use super::service::Service;
use super::sessions::Sessions;
use super::settings::Settings;
use super::view::View;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::documents::{ActiveDocument, LeaderAddress, LeaderValue, NodeDocument};
use sluice_types::error_chain::chain;
use sluice_types::keys::{ClusterKeys, StreamKeys};

/// How long leaving may take when Consul is slow.
const LEAVING: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(500);

/// Why the control thread could not be started.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The Consul variables ask for something impossible.
    #[error("set up the connection to Consul")]
    Consul(#[source] consul::Error),
    /// The data directory has no usable epoch.
    #[error(transparent)]
    Epoch(EpochFileError),
    /// No health listener.
    #[error("listen for health checks on {address}")]
    Health {
        /// As it was given.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// No thread or no runtime.
    #[error("start the control thread")]
    Thread(#[source] io::Error),
}

/// What the control side needs to know.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// How to reach Consul.
    pub consul: consul::Config,
    /// The cluster's name.
    pub cluster: String,
    /// This node's name.
    pub node: String,
    /// Where clients listen for us; the port is the one that was bound.
    pub listen: SocketAddr,
    /// What clients are told instead, if anything: host, and port if other.
    pub advertise: Option<(String, Option<u16>)>,
    /// Where Consul's check asks.
    pub health_listen: SocketAddr,
    /// The stream's keys.
    pub keys: StreamKeys,
    /// The form of the lock's value.
    pub leader_value: LeaderValue,
    /// How long a proof is good for.
    pub lease: Duration,
    /// Where the epoch is kept, and the sessions.
    pub data_dir: PathBuf,
}

/// The running control thread.
#[derive(Debug)]
pub struct Control {
    thread: std::thread::JoinHandle<()>,
    orders: mpsc::Sender<Order>,
    /// What others read.
    pub controls: Controls,
    /// Taken once it has ended.
    ended: Option<oneshot::Receiver<()>>,
}

/// What the control side publishes.
#[derive(Clone, Debug)]
pub struct Controls {
    /// What this node is to the cluster.
    pub role: watch::Receiver<Role>,
    /// What the control side knows.
    pub view: watch::Receiver<View>,
    /// The client addresses of all registered nodes.
    pub addresses: watch::Receiver<Arc<HashSet<String>>>,
    /// The other nodes that live.
    pub peers: Peers,
    /// Where clients reach this node, once it is known.
    pub address: watch::Receiver<Option<String>>,
    /// Whether the control loop turns.
    pub heartbeat: Arc<Heartbeat>,
}

impl Control {
    /// Binds the health listener and starts the thread. It works at finding
    /// Consul for as long as it takes. `state` is what the node's own key says
    /// beside its address, `active` what the leader says of its sink.
    ///
    /// # Errors
    /// What is wrong with the configuration or the machine.
    pub fn start(
        config: ControlConfig,
        state: watch::Receiver<NodeDocument>,
        active: watch::Receiver<Option<ActiveDocument>>,
    ) -> Result<Self, ControlError> {
        let client = Client::new(config.consul.clone()).map_err(ControlError::Consul)?;
        let epoch_file = EpochFile::open(&config.data_dir).map_err(ControlError::Epoch)?;
        let listener = bind(config.health_listen).map_err(|cause| ControlError::Health {
            address: config.health_listen,
            cause,
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ControlError::Thread)?;
        let (role_in, role) = watch::channel(Role::Follower { leader: None });
        let (view_in, view) = watch::channel(View::default());
        let (addresses_in, addresses) = watch::channel(Arc::default());
        let (nodes_in, nodes) = watch::channel(None);
        let peers = Peers::new(config.node.clone(), state.clone(), nodes);
        let (address_in, address) = watch::channel(None);
        let (orders, orders_out) = mpsc::channel(16);
        let (alive, ended) = oneshot::channel();
        let heartbeat = Arc::new(Heartbeat::default());
        heartbeat.beat();
        let controls = Controls {
            role,
            view,
            addresses,
            peers: peers.clone(),
            address,
            heartbeat: Arc::clone(&heartbeat),
        };
        let side = Side {
            config,
            client,
            epoch_file,
            listener,
            heartbeat,
            role: role_in,
            view: view_in,
            addresses: addresses_in,
            nodes: nodes_in,
            peers,
            address: address_in,
            state,
            active,
        };
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                runtime.block_on(side.run(orders_out));
                // A write to a disk that hangs is not waited for.
                runtime.shutdown_background();
                drop(alive);
            })
            .map_err(ControlError::Thread)?;
        Ok(Self {
            thread,
            orders,
            controls,
            ended: Some(ended),
        })
    }

    /// Gives an order; nothing is lost if the thread is busy.
    pub async fn order(&self, order: Order) {
        if let Err(mpsc::error::SendError(order)) = self.orders.send(order).await {
            tracing::error!(?order, "the control thread has ended");
        }
    }

    /// A way to give orders from elsewhere.
    #[must_use]
    pub fn orders(&self) -> mpsc::Sender<Order> {
        self.orders.clone()
    }

    /// Waits until the thread has ended; it should not before it is told to.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            // Nothing is ever sent: it ends when the other half is dropped.
            _ = ended.await;
            self.ended = None;
        }
    }

    /// Lets go of the lock, the sessions and the registration.
    pub async fn shutdown(mut self) {
        self.order(Order::Shutdown).await;
        self.ended().await;
        if self.thread.join().is_err() {
            tracing::error!("the control thread had panicked");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the thread owns.
struct Side {
    config: ControlConfig,
    client: Client,
    epoch_file: EpochFile,
    listener: std::net::TcpListener,
    heartbeat: Arc<Heartbeat>,
    role: watch::Sender<Role>,
    view: watch::Sender<View>,
    addresses: watch::Sender<Arc<HashSet<String>>>,
    nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
    peers: Peers,
    address: watch::Sender<Option<String>>,
    state: watch::Receiver<NodeDocument>,
    active: watch::Receiver<Option<ActiveDocument>>,
}

impl Side {
    async fn run(self, mut orders: mpsc::Receiver<Order>) {
        let health_port = self
            .listener
            .local_addr()
            .map_or(0, |address| address.port());
        let listener = match tokio::net::TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "could not listen for health checks");
                return;
            }
        };
        let health = Health {
            heartbeat: Arc::clone(&self.heartbeat),
            client: self.client.clone(),
            role: self.role.subscribe(),
            view: self.view.subscribe(),
            asked: Arc::default(),
        };
        let health = tokio::spawn(health::serve(listener, health));

        let mut able = false;
        let found = tokio::select! {
            found = own_host(&self.client, &self.config, &self.heartbeat) => Some(found),
            () = until_shutdown(&mut orders, &mut able) => None,
        };
        let Some(host) = found else {
            health.abort();
            return;
        };
        let config = self.config;
        let port = config.advertise.as_ref().and_then(|(_, port)| *port);
        let port = port.unwrap_or_else(|| config.listen.port());
        let health_host = match config.health_listen.ip() {
            ip if ip.is_unspecified() => host.clone(),
            ip => bracketed(ip),
        };
        let leader = LeaderAddress {
            node: config.node.clone(),
            address: format!("{host}:{port}"),
        };
        self.address.send_replace(Some(leader.address.clone()));
        let service = Service::new(
            config.cluster.clone(),
            config.node.clone(),
            (host, port),
            format!("http://{health_host}:{health_port}/healthz"),
            self.role.subscribe(),
        );
        let cluster = ClusterKeys::new(config.cluster);
        let lock_client = Arc::new(LockClient {
            client: self.client,
            service,
            lock: LockKeys::new(&cluster, &config.keys),
            cluster,
            keys: config.keys,
            value: leader.to_value(config.leader_value),
            lease: config.lease,
            begun: OnceCell::new(),
        });
        let disk = NodeDisk::open(&config.data_dir, self.epoch_file);
        let coordination = Coordination::Consul(Arc::clone(&lock_client));
        let sessions = Sessions::new(coordination.clone(), disk.clone(), Clock::Machine);

        let (leave, leaving) = watch::channel(false);
        let mut membership =
            Membership::new(Arc::clone(&lock_client), sessions, disk.clone(), self.state);
        let member = tokio::spawn(async move {
            membership.run(leaving).await;
            membership
        });
        let addresses = tokio::spawn(watch_addresses(Arc::clone(&lock_client), self.addresses));
        let nodes = tokio::spawn(watch_nodes(Arc::clone(&lock_client), self.nodes));
        let (tenure_in, tenure) = watch::channel(None);
        let active = tokio::spawn(active_key::keep(
            Arc::clone(&lock_client),
            tenure,
            self.active,
        ));
        let publisher = Publisher::new(candidate(&lock_client), self.role, self.view, tenure_in);
        let settings = Settings::random(config.node, config.lease);
        let tools = Tools {
            coordination,
            disk,
            clock: Clock::Machine,
            heartbeat: self.heartbeat,
            peers: self.peers,
        };
        Driver::new(settings, tools, publisher)
            .run(able, orders)
            .await;
        addresses.abort();
        nodes.abort();
        active.abort();
        leave.send_replace(true);
        leave_cluster(member).await;
        health.abort();
    }
}

fn candidate(lock_client: &LockClient) -> Candidate {
    Candidate {
        node: lock_client.service.node.clone(),
        value: lock_client.value.clone(),
        leader_key: lock_client.lock.leader.clone(),
    }
}

/// Removes this node from the cluster, as far as Consul answers in time.
async fn leave_cluster(member: JoinHandle<Membership>) {
    let left = async {
        match member.await {
            Ok(membership) => membership.leave().await,
            Err(error) => tracing::error!(%error, "the task that keeps this node registered ended"),
        }
    };
    if tokio::time::timeout(LEAVING, left).await.is_err() {
        tracing::warn!("Consul did not answer while leaving");
    }
}

/// Waits for the order to shut down, and keeps the last word on ability.
async fn until_shutdown(orders: &mut mpsc::Receiver<Order>, able: &mut bool) {
    loop {
        match orders.recv().await {
            Some(Order::Eligible(now)) => *able = now,
            Some(Order::StepDown(_)) => {}
            Some(Order::Shutdown) | None => return,
        }
    }
}

/// The host that others reach this node by: what was given, or the local
/// address of the way to Consul, or, if that is loopback, the address of the
/// agent itself. Tries for as long as it takes.
async fn own_host(client: &Client, config: &ControlConfig, heartbeat: &Heartbeat) -> String {
    if let Some((host, _)) = &config.advertise {
        return host.clone();
    }
    let mut warned = false;
    loop {
        heartbeat.beat();
        let error = match local_address(client).await {
            Ok(Some(ip)) => return bracketed(ip),
            Ok(None) => match client.member_address().await {
                Ok(address) => return address.parse().map_or(address, bracketed),
                Err(error) => chain(&error),
            },
            Err(error) => error.to_string(),
        };
        if !warned {
            warned = true;
            let consul = &client.config().url;
            tracing::warn!(
                consul,
                error,
                "Consul does not answer; trying on (or give --advertise)"
            );
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// The local end of the way to Consul; `None` if that is loopback or a socket.
async fn local_address(client: &Client) -> io::Result<Option<IpAddr>> {
    let Some(authority) = &client.config().authority else {
        return Ok(None);
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in tokio::net::lookup_host(authority).await? {
        let any: SocketAddr = if address.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0_u16; 8], 0).into()
        };
        let local = async {
            // Connecting a datagram socket sends nothing; it finds the route.
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            socket.local_addr()
        };
        match local.await {
            Ok(local) => return Ok((!local.ip().is_loopback()).then_some(local.ip())),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
