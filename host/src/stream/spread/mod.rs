//! Spreads the streams over the nodes.
//!
//! Each node hands over streams of its own that others should lead, one by one, and
//! leaves locks that become free for a moment to the node that should have them.

mod plan;
mod rates;
mod rests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::streams::Streams;
use plan::{Move, Plan};
use rates::Rates;
use rests::Rests;
use sluice_leadership::{Elector, Order, Role, StreamOrder};
use sluice_types::documents::NodeDocument;

/// How often it is looked whether streams should be handed over.
const TICK: Duration = Duration::from_secs(1);
/// How many streams a node hands over at a time.
const MOVES_PER_TICK: usize = 2;
/// How long a node has to be there before it gets streams.
const SETTLED: Duration = Duration::from_secs(3);

/// The documents of all nodes; `None` until Consul has answered.
type Nodes = watch::Receiver<Option<Arc<Vec<NodeDocument>>>>;

/// What the spread works with.
#[derive(Debug)]
pub(crate) struct SpreadParts {
    pub(crate) node: String,
    pub(crate) streams: Streams,
    pub(crate) elector: Elector,
    /// To the control thread.
    pub(crate) orders: mpsc::Sender<Order>,
    /// The nodes that streams are pinned to.
    pub(crate) pins: watch::Receiver<BTreeMap<String, String>>,
}

/// Spreads the streams until it is aborted.
pub(crate) fn start(parts: SpreadParts) -> JoinHandle<()> {
    tokio::spawn(Spread::new(parts).run())
}

#[derive(Debug)]
struct Spread {
    parts: SpreadParts,
    nodes: Nodes,
    rates: Rates,
    /// The nodes that streams are pinned to.
    pins: BTreeMap<String, String>,
    /// When each node was first seen.
    seen: BTreeMap<String, Instant>,
    /// Who led each stream when that was last known.
    leaders: BTreeMap<String, String>,
    rests: Rests,
    /// The node that should take each lock when it becomes free.
    successors: BTreeMap<String, String>,
    /// The streams whose locks this node leaves to others for a moment.
    hesitating: BTreeSet<String>,
}

impl Spread {
    fn new(parts: SpreadParts) -> Self {
        Self {
            nodes: parts.elector.controls().peers.documents(),
            parts,
            rates: Rates::default(),
            pins: BTreeMap::new(),
            seen: BTreeMap::new(),
            leaders: BTreeMap::new(),
            rests: Rests::default(),
            successors: BTreeMap::new(),
            hesitating: BTreeSet::new(),
        }
    }

    async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = self.nodes.changed() => match changed {
                    Ok(()) => self.follow().await,
                    // The control thread has ended; the node ends with it.
                    Err(_) => return,
                },
                _ = tick.tick() => {
                    if let Some(rates) = self.rates.measure(&self.parts.streams) {
                        self.parts.elector.report_loads(rates);
                    }
                    self.follow().await;
                    self.hand_over();
                }
            }
        }
    }

    fn plan(&mut self) -> Option<Plan> {
        let now = Instant::now();
        let documents = self.nodes.borrow_and_update().clone()?;
        // What was there when this node came has been there for a while.
        let is_first = self.seen.is_empty();
        let is_there = |name: &str| documents.iter().any(|document| document.node == name);
        self.seen.retain(|name, _| is_there(name));
        for document in documents.iter() {
            let since = if is_first { now - SETTLED } else { now };
            self.seen.entry(document.node.clone()).or_insert(since);
        }
        self.take_in_pins();
        let pins = self.pins.clone();
        let is_settled = |name: &str| {
            let since = self.seen.get(name);
            since.is_some_and(|since| now.duration_since(*since) >= SETTLED)
        };
        Some(Plan::new(&documents, pins, is_settled))
    }

    /// A stream whose pin is new need not rest.
    fn take_in_pins(&mut self) {
        let pins = self.parts.pins.borrow_and_update().clone();
        self.rests
            .retain(|stream| pins.get(stream) == self.pins.get(stream));
        self.pins = pins;
    }

    /// Takes in what the nodes say.
    async fn follow(&mut self) {
        let Some(plan) = self.plan() else {
            return;
        };
        self.note_moves(&plan);
        let successors = plan.successors();
        self.successors
            .retain(|stream, _| successors.contains_key(stream) || self.parts.streams.has(stream));
        for (stream, node) in successors {
            // While nobody leads, the plan stays: the documents tell late who leads.
            let is_led = plan.leader(&stream).is_some();
            let is_settled = self
                .successors
                .get(&stream)
                .is_some_and(|node| plan.has(node));
            if is_led || !is_settled {
                self.successors.insert(stream, node);
            }
        }
        let others = self
            .successors
            .iter()
            .filter(|(_, node)| **node != self.parts.node);
        let hesitating: BTreeSet<_> = others.map(|(stream, _)| stream.clone()).collect();
        let changed: Vec<_> = hesitating
            .symmetric_difference(&self.hesitating)
            .cloned()
            .collect();
        for stream in changed {
            let hesitate = StreamOrder::Hesitate(hesitating.contains(&stream));
            let order = Order::Stream(stream.as_str().into(), hesitate);
            if self.parts.orders.send(order).await.is_err() {
                return;
            }
        }
        self.hesitating = hesitating;
    }

    /// A stream whose leader is still there was handed over.
    fn note_moves(&mut self, plan: &Plan) {
        self.leaders
            .retain(|stream, _| self.parts.streams.has(stream));
        for stream in self.parts.streams.all() {
            let name = &stream.name;
            let Some(leader) = plan.leader(name) else {
                continue;
            };
            let before = self.leaders.insert(name.clone(), leader.to_owned());
            if before.is_some_and(|before| before != leader && plan.has(&before)) {
                self.rests.begin(name);
            }
        }
    }

    /// Hands over streams of this node that others should lead.
    fn hand_over(&mut self) {
        let Some(plan) = self.plan() else {
            return;
        };
        let moves = plan.moves(|stream| !self.rests.has(stream));
        let own = moves.into_iter().filter(|it| it.from == self.parts.node);
        for Move { stream, to, .. } in own.take(MOVES_PER_TICK) {
            let Some(found) = self.parts.streams.get(&stream) else {
                continue;
            };
            let Role::Leader(lease) = found.controls.role.borrow().clone() else {
                continue;
            };
            if found.hand_over(lease.epoch(), Some(to.clone())).is_some() {
                tracing::info!(stream, to, "the stream goes to a node with less load");
                self.rests.begin(&stream);
            }
        }
    }
}
