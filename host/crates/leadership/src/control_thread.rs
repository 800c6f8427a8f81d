//! What runs on the control thread: it answers health checks, finds out where
//! this node is, and then keeps it in the cluster and in the election.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::assistance::{Allies, Plea};
use super::assistant::{self, AssistanceRequest};
use super::clock::Clock;
use super::config::ControlConfig;
use super::coordination::Coordination;
use super::driver::{Driver, Part, Tools};
use super::epoch_file::EpochFile;
use super::health::Health;
use super::health_secret::HealthSecret;
use super::health_server;
use super::heartbeat::Heartbeat;
use super::late_renewals::LateRenewals;
use super::lock_client::LockClient;
use super::node_disk::NodeDisk;
use super::nodes::{watch_addresses, watch_documents};
use super::order::{Order, StreamOrder};
use super::own_address::{bracketed, own_host};
use super::peers::Peers;
use super::presence::Presence;
use super::publisher::{Candidate, Publisher};
use super::role::Role;
use super::service::Service;
use super::sessions::Sessions;
use super::settings::Settings;
use super::stream_name::StreamName;
use super::tenure::Tenure;
use super::view::View;
use super::{active_key, history};
use sluice_consul::Client;
use sluice_types::documents::{ActiveDocument, LeaderAddress, NodeDocument};
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::DEFAULT_STREAM;

/// How long leaving the cluster may take when Consul is slow.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// What the thread owns.
pub(super) struct ControlThread {
    pub(super) config: ControlConfig,
    pub(super) client: Client,
    pub(super) epoch_file: EpochFile,
    pub(super) heartbeat: Arc<Heartbeat>,
    pub(super) peers: Peers,
    pub(super) published: Published,
    /// What this node reports about its sink.
    pub(super) state: watch::Receiver<NodeDocument>,
    /// What it reports about the sink that runs while it leads.
    pub(super) active: watch::Receiver<Option<ActiveDocument>>,
    /// What other nodes ask for that do not reach Consul.
    pub(super) requests: mpsc::Receiver<AssistanceRequest>,
    /// To the other nodes, for this one.
    pub(super) pleas: mpsc::Sender<Plea>,
}

/// What the thread publishes.
pub(super) struct Published {
    pub(super) role: watch::Sender<Role>,
    pub(super) view: watch::Sender<View>,
    pub(super) addresses: watch::Sender<Arc<HashSet<String>>>,
    /// The documents of all nodes; `None` until Consul has answered.
    pub(super) nodes: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
    pub(super) address: watch::Sender<Option<String>>,
    pub(super) late_renewals: Arc<LateRenewals>,
}

impl ControlThread {
    /// Runs until it is told to shut down. `listener` is for health checks.
    pub(super) async fn run(self, listener: TcpListener, mut orders: mpsc::Receiver<Order>) {
        let health_port = listener.local_addr().map_or(0, |address| address.port());
        let health = self.health();
        let serving = tokio::spawn(health_server::serve(listener, health.clone()));
        let mut is_eligible = false;
        let found = tokio::select! {
            host = self.own_host() => Some(host),
            () = until_shutdown(&mut orders, &mut is_eligible) => None,
        };
        if let Some(host) = found {
            let service = self.service(host, health_port, health.secret.clone());
            self.take_part(service, health, is_eligible, orders).await;
        }
        serving.abort();
    }

    fn health(&self) -> Health {
        Health {
            heartbeat: Arc::clone(&self.heartbeat),
            client: self.client.clone(),
            role: self.published.role.subscribe(),
            view: self.published.view.subscribe(),
            asked: Arc::default(),
            secret: HealthSecret::random(),
        }
    }

    async fn own_host(&self) -> String {
        match &self.config.advertise {
            Some((host, _)) => host.clone(),
            None => own_host(&self.client, &self.heartbeat).await,
        }
    }

    /// Keeps this node in the cluster and in the election until it is told to
    /// shut down, and then leaves both.
    async fn take_part(
        self,
        service: Service,
        health: Health,
        is_eligible: bool,
        orders: mpsc::Receiver<Order>,
    ) {
        let health_url = service.health_url.clone();
        let client = Arc::new(self.lock_client(service));
        let coordination = Coordination::Consul(Arc::clone(&client));
        let disk = NodeDisk::open(&self.config.data_dir, self.epoch_file);
        let presence = Presence::new(
            coordination.clone(),
            Sessions::new(coordination.clone(), disk.clone(), Clock::Machine),
            disk.clone(),
            client.service.client_address(),
            self.state,
            self.published.role.subscribe(),
        );
        let (leave, leaving) = watch::channel(false);
        let presence = tokio::spawn(presence.run(leaving));
        let Published {
            role,
            view,
            addresses,
            nodes,
            late_renewals,
            ..
        } = self.published;
        let (tenure_in, tenure) = watch::channel::<Option<Tenure>>(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_addresses(Arc::clone(&client), addresses));
        tasks.spawn(watch_documents(Arc::clone(&client), nodes));
        tasks.spawn(health.watch_agent(health_url));
        tasks.spawn(assistant::serve(Arc::clone(&client), self.requests));
        let (leading, active) = (tenure.clone(), self.active.clone());
        let stream: StreamName = DEFAULT_STREAM.into();
        let noting = history::keep(coordination.clone(), stream.clone(), leading, active);
        tasks.spawn(noting);
        let active = self.active;
        let telling = active_key::keep(coordination.clone(), stream.clone(), tenure, active);
        tasks.spawn(telling);
        let candidate = candidate(&client, &stream);
        let publisher = Publisher::new(candidate, role, tenure_in, late_renewals);
        let settings = Settings::random(self.config.node, self.config.lease);
        let tools = Tools {
            coordination,
            disk,
            clock: Clock::Machine,
            heartbeat: self.heartbeat,
            allies: Allies::Nodes(self.pleas),
            view,
        };
        let mut driver = Driver::new(settings, tools);
        driver.join(stream, Part::new(publisher, self.peers), is_eligible);
        driver.run(orders).await;
        tasks.abort_all();
        leave.send_replace(true);
        leave_cluster(presence).await;
    }

    /// How this node is registered.
    fn service(&self, host: String, health_port: u16, secret: HealthSecret) -> Service {
        let config = &self.config;
        let port = config.advertise.as_ref().and_then(|(_, port)| *port);
        let port = port.unwrap_or_else(|| config.listen.port());
        let health_host = match config.health_address().ip() {
            ip if ip.is_unspecified() => host.clone(),
            ip => bracketed(ip),
        };
        Service::new(
            config.cluster.clone(),
            config.node.clone(),
            (host, port),
            (
                format!("http://{health_host}:{health_port}/healthz"),
                secret,
            ),
            self.published.role.subscribe(),
        )
    }

    /// Publishes this node's address, and names it to Consul.
    fn lock_client(&self, service: Service) -> LockClient {
        let config = &self.config;
        let leader = LeaderAddress {
            node: config.node.clone(),
            address: service.client_address(),
        };
        let address = Some(leader.address.clone());
        self.published.address.send_replace(address);
        let cluster = ClusterKeys::new(&config.cluster);
        LockClient {
            client: self.client.clone(),
            service,
            cluster,
            keys: config.keys.clone(),
            value: leader.to_value(config.leader_value),
            lease: config.lease,
            begun: OnceCell::new(),
        }
    }
}

fn candidate(client: &LockClient, stream: &StreamName) -> Candidate {
    Candidate {
        stream: stream.clone(),
        node: client.service.node.clone(),
        value: client.value.clone(),
        leader_key: client.stream_keys(stream).leader,
    }
}

/// Removes this node from the cluster, as far as Consul answers in time.
async fn leave_cluster(presence: JoinHandle<Presence>) {
    let left = async {
        match presence.await {
            Ok(presence) => presence.leave().await,
            Err(error) => tracing::error!(%error, "the task that keeps this node registered ended"),
        }
    };
    if tokio::time::timeout(LEAVE_TIMEOUT, left).await.is_err() {
        tracing::warn!("Consul did not answer while this node left the cluster");
    }
}

/// Waits for the order to shut down. Remembers whether this node is eligible
/// by the last order that said so.
async fn until_shutdown(orders: &mut mpsc::Receiver<Order>, is_eligible: &mut bool) {
    loop {
        match orders.recv().await {
            Some(Order::Stream(_, StreamOrder::Eligible(now))) => *is_eligible = now,
            Some(Order::Stream(_, StreamOrder::StepDown(_))) => {}
            Some(Order::Shutdown) | None => return,
        }
    }
}
