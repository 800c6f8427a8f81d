//! A node's process: the real driver, which the world polls by hand. A world
//! that does not poll it freezes it, and a world that drops it kills it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::interference::Interference;
use super::question::Answer;
use super::seam::{Port, SimulatedAllies, SimulatedClock, SimulatedCoordination, SimulatedDisk};
use crate::assistance::Allies;
use crate::clock::Clock;
use crate::coordination::Coordination;
use crate::driver::{Driver, Tools};
use crate::late_renewals::LateRenewals;
use crate::node_disk::NodeDisk;
use crate::order::Order;
use crate::part::Part;
use crate::peers::Peers;
use crate::publisher::{Candidate, Publisher};
use crate::role::Role;
use crate::settings::Settings;
use crate::view::View;
use sluice_types::documents::{LeaderAddress, LeaderValue, NodeDocument};
use sluice_types::stream::DEFAULT_STREAM;

/// Orders that may wait; the driver takes them before anything else.
const ORDERS: usize = 64;

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Process {
    driver: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
    orders: mpsc::Sender<Order>,
    pub(super) role: watch::Receiver<Role>,
    own: watch::Sender<NodeDocument>,
    peers: watch::Sender<Option<Arc<Vec<NodeDocument>>>>,
    /// Calls, sleeps and writes that are under way, by their numbers.
    pub(super) calls: HashMap<u64, oneshot::Sender<Answer>>,
    pub(super) pauses: HashMap<u64, oneshot::Sender<()>>,
}

impl Process {
    pub(super) fn start(settings: Settings, port: &Port, interference: Interference) -> Self {
        let (own, own_out) = watch::channel(document(&settings.node));
        let (peers, peers_out) = watch::channel(None);
        let (role_in, role) = watch::channel(Role::Follower { leader: None });
        let candidate = Candidate {
            stream: DEFAULT_STREAM.into(),
            node: settings.node.clone(),
            value: value_of(&settings.node),
            leader_key: "c/leader".to_owned(),
        };
        let publisher = Publisher::new(
            candidate,
            role_in,
            watch::Sender::new(None),
            Arc::new(LateRenewals::new(settings.lease)),
        );
        let tools = Tools {
            coordination: Coordination::Simulated(SimulatedCoordination(port.clone())),
            disk: NodeDisk::Simulated(SimulatedDisk(port.clone())),
            clock: Clock::Simulated(SimulatedClock(port.clone())),
            heartbeat: Arc::default(),
            allies: Allies::Simulated(SimulatedAllies(port.clone())),
            view: watch::Sender::new(View::default()),
            entrance: None,
        };
        let seen = Peers::new(settings.node.clone(), own_out, peers_out);
        let mut driver = Driver::new(settings, tools);
        driver.interfere(interference);
        driver.join(
            DEFAULT_STREAM.into(),
            Part::new(publisher, seen, JoinSet::new()),
            true,
        );
        let (orders, orders_out) = mpsc::channel(ORDERS);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self {
            driver: Box::pin(driver.run(Vec::new(), orders_out)),
            woken,
            orders,
            role,
            own,
            peers,
            calls: HashMap::new(),
            pauses: HashMap::new(),
        }
    }

    /// Runs it until it waits for something. Returns whether it has ended.
    pub(super) fn run(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        while self.woken.0.swap(false, Ordering::Relaxed) {
            if self.driver.as_mut().poll(&mut context).is_ready() {
                return true;
            }
        }
        false
    }

    pub(super) fn order(&self, order: Order) {
        self.orders.try_send(order).unwrap();
    }

    /// The document that this node publishes.
    pub(super) fn document(&self) -> NodeDocument {
        self.own.borrow().clone()
    }

    /// Whether the sink that is asked for is prepared.
    pub(super) fn prepare_sink(&self, is_prepared: bool) {
        self.own.send_modify(|own| own.eligible = is_prepared);
    }

    pub(super) fn see_nodes(&self, nodes: &Arc<Vec<NodeDocument>>) {
        self.peers.send_replace(Some(Arc::clone(nodes)));
    }
}

fn document(node: &str) -> NodeDocument {
    NodeDocument {
        eligible: true,
        ..NodeDocument::new(node)
    }
}

/// What the lock's key holds while this node leads.
pub(super) fn value_of(node: &str) -> Vec<u8> {
    let leader = LeaderAddress {
        node: node.to_owned(),
        address: format!("{node}:3000"),
    };
    leader.to_value(LeaderValue::Json)
}
