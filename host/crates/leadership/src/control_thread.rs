//! What runs on the control thread: it answers health checks, finds out where
//! this node is, and then keeps it in the cluster and in the election.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OnceCell, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::assistance::{Allies, Plea};
use super::assistant::{self, AssistanceRequest};
use super::clock::Clock;
use super::config::ControlConfig;
use super::coordination::Coordination;
use super::driver::{Driver, Tools};
use super::early_orders::EarlyOrders;
use super::entrance::Entrance;
use super::epoch_file::EpochFile;
use super::health::Health;
use super::health_secret::HealthSecret;
use super::health_server;
use super::heartbeat::Heartbeat;
use super::late_renewals::LateRenewals;
use super::lock_client::{LockClient, TURNS};
use super::node_disk::NodeDisk;
use super::nodes::{watch_addresses, watch_documents};
use super::order::Order;
use super::own_address::{bracketed, own_host};
use super::part::Part;
use super::peers::Peers;
use super::presence::Presence;
use super::publisher::Publisher;
use super::reported::Reported;
use super::role::Role;
use super::runs::Runs;
use super::service::Service;
use super::sessions::Sessions;
use super::settings::Settings;
use super::stream_name::StreamName;
use super::view::View;
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
    /// Records a second that streams took lately.
    pub(super) loads: watch::Receiver<BTreeMap<String, u64>>,
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
    pub(super) runs: watch::Sender<Option<Arc<Runs>>>,
}

impl ControlThread {
    /// Runs until it is told to shut down. `listener` is for health checks.
    pub(super) async fn run(self, listener: TcpListener, mut orders: mpsc::Receiver<Order>) {
        let health_port = listener.local_addr().map_or(0, |address| address.port());
        let health = self.health();
        let serving = tokio::spawn(health_server::serve(listener, health.clone()));
        let mut early = EarlyOrders::default();
        let found = tokio::select! {
            host = self.own_host() => Some(host),
            () = until_shutdown(&mut orders, &mut early) => None,
        };
        if let Some(host) = found {
            let service = self.service(host, health_port, health.secret.clone());
            self.take_part(service, health, early.into_orders(), orders)
                .await;
        }
        serving.abort();
    }

    fn health(&self) -> Health {
        Health {
            heartbeat: Arc::clone(&self.heartbeat),
            client: self.client.clone(),
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
        early: Vec<Order>,
        orders: mpsc::Receiver<Order>,
    ) {
        let health_url = service.health_url.clone();
        let client = Arc::new(self.lock_client(service));
        let coordination = Coordination::Consul(Arc::clone(&client));
        let entrance = self.entrance(&client);
        let reported = self.reported(&entrance);
        let disk = NodeDisk::open(&self.config.data_dir, self.epoch_file);
        let presence = Presence::new(
            coordination.clone(),
            Sessions::new(coordination.clone(), disk.clone(), Clock::Machine),
            disk.clone(),
            client.service.client_address(),
            reported,
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
        let (tenure_in, tenure) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_addresses(Arc::clone(&client), addresses));
        tasks.spawn(watch_documents(Arc::clone(&client), nodes));
        tasks.spawn(health.watch_agent(health_url));
        tasks.spawn(assistant::serve(client, self.requests));
        let stream: StreamName = DEFAULT_STREAM.into();
        let writing = entrance.write_keys(&stream, tenure, self.active);
        let candidate = entrance.candidate(&stream);
        let publisher = Publisher::new(candidate, role, tenure_in, late_renewals);
        let settings = Settings::random(self.config.node, self.config.lease);
        let tools = Tools {
            coordination,
            disk,
            clock: Clock::Machine,
            heartbeat: self.heartbeat,
            allies: Allies::Nodes(self.pleas),
            view,
            entrance: Some(entrance),
        };
        let mut driver = Driver::new(settings, tools);
        driver.join(stream, Part::new(publisher, self.peers, writing), false);
        driver.run(early, orders).await;
        tasks.abort_all();
        leave.send_replace(true);
        leave_cluster(presence).await;
    }

    fn entrance(&self, client: &Arc<LockClient>) -> Entrance {
        Entrance {
            client: Arc::clone(client),
            late_renewals: Arc::clone(&self.published.late_renewals),
            nodes: self.published.nodes.subscribe(),
            reports: watch::Sender::new(BTreeMap::new()),
        }
    }

    fn reported(&self, entrance: &Entrance) -> Reported {
        Reported {
            state: self.state.clone(),
            streams: entrance.reports.subscribe(),
            view: self.published.view.subscribe(),
            loads: self.loads.clone(),
        }
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
            turns: Semaphore::new(TURNS),
            runs: self.published.runs.clone(),
            begun: OnceCell::new(),
        }
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

/// Waits for the order to shut down. Keeps the others.
async fn until_shutdown(orders: &mut mpsc::Receiver<Order>, early: &mut EarlyOrders) {
    loop {
        match orders.recv().await {
            Some(Order::Shutdown) | None => return,
            Some(order) => early.add(order),
        }
    }
}
