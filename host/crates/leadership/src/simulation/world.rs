//! One world: what happens in it, in the order of true time. What nodes and
//! Consul send each other is in `network`, what nodes acknowledge in
//! `data_side`, what their processes do in `running`, and what goes wrong in
//! `faults`.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::checker::{Checker, Tenure};
use super::clock::{MILLI, NodeClock, SECOND, Time};
use super::consul::Consul;
use super::ended::Ended;
use super::happening::{Agenda, Happening};
use super::node::{Node, Waiting};
use super::question::Request;
use super::without::Without;
use sluice_coordinator::store::Interest;

/// How long a node may take to lead once nothing goes wrong any more: calls
/// that are under way, a named successor that does not come, the longest wait
/// of a winner, and another winner before that which proves nothing. A lock
/// that is held in vain until a TTL is over takes longer.
const RECOVERY_LIMIT: Time = 21 * SECOND;
/// A world with more events never ends.
const MAX_EVENTS: u64 = 400_000;
/// How often a node's health is checked.
const CHECK_INTERVAL: Time = SECOND;
/// How late a check is that waits for a frozen node.
const CHECK_TIMEOUT: Time = 500 * MILLI;
const TTL_INTERVAL: Time = 500 * MILLI;
/// How often nodes learn of each other.
const PRESENCE_INTERVAL: Time = 2 * SECOND;

/// A watch that waits at Consul.
pub(super) struct Watch {
    pub(super) number: u64,
    pub(super) index: u64,
    pub(super) interest: Interest,
    pub(super) request: Request,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) without: Option<Without>,
    pub(super) random: StdRng,
    pub(super) now: Time,
    pub(super) agenda: Agenda,
    pub(super) nodes: Vec<Node>,
    pub(super) consul: Consul,
    /// Nothing gets to Consul before.
    pub(super) consul_away_until: Time,
    /// Until then, renewals are answered as if no session existed.
    pub(super) consul_lags_until: Time,
    /// A node whose proofs get no answer in the end: another has to lead.
    pub(super) never_proves: Option<usize>,
    pub(super) watches: Vec<Watch>,
    pub(super) checker: Checker,
    pub(super) tenures: u64,
    pub(super) decisions: u64,
    /// From then on nothing goes wrong.
    pub(super) quiet_from: Time,
    /// How often, in thousandths, a message is lost, late or repeated.
    trouble: u32,
    /// Whether keys are changed by hand, and Consul loses its state. The leases
    /// in the lock's flags are lost then, so all leases are equally long.
    pub(super) by_hand: bool,
    pub(super) told: u64,
    trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, without: Option<Without>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let by_hand = random.random_bool(0.5);
        // A session outlives its lock by such changes more often than by others.
        let by_hand = by_hand || without == Some(Without::ReadsOnly);
        let nodes = new_nodes(&mut random, by_hand, without);
        let never_proves = random.random_range(0..nodes.len() * 3);
        let never_proves = Some(never_proves).filter(|node| *node < nodes.len());
        let quiet_from = random.random_range(20..90) * SECOND;
        let trouble = random.random_range(0..150);
        Self {
            seed,
            without,
            random,
            now: 0,
            agenda: Agenda::default(),
            nodes,
            consul: Consul::new(),
            consul_away_until: 0,
            consul_lags_until: 0,
            never_proves,
            watches: Vec::new(),
            checker: Checker::new(),
            tenures: 0,
            decisions: 0,
            quiet_from,
            trouble,
            by_hand,
            told: 0,
            trace: None,
        }
    }

    /// Notes what happens.
    pub(super) fn traced(mut self) -> Self {
        self.trace = Some(Vec::new());
        for node in &self.nodes {
            node.port.trace();
        }
        self
    }

    pub(super) fn run(mut self) -> Ended {
        let violation = self.happen_all().err();
        Ended {
            violation,
            told: self.told,
            tenures: self.tenures,
            decisions: self.decisions,
            recovery: self.now.saturating_sub(self.quiet_from),
            trace: self.trace.unwrap_or_default(),
        }
    }

    /// Until a node serves in the end, or something is wrong.
    fn happen_all(&mut self) -> Result<(), String> {
        self.begin()?;
        for _ in 0..MAX_EVENTS {
            let Some((time, happening)) = self.agenda.next() else {
                return Err("nothing happens any more".to_owned());
            };
            self.now = time;
            self.consul.now = time;
            self.happens(happening)?;
            let may: Vec<_> = self.nodes.iter().filter_map(|n| n.valid(time)).collect();
            Checker::may(&may)?;
            let lasts = |tenure: &Tenure| Some(tenure.node) != self.never_proves;
            if time > self.quiet_from && may.iter().any(lasts) {
                return Ok(());
            }
            if time > self.quiet_from + RECOVERY_LIMIT {
                return Err("no node leads although nothing goes wrong any more".to_owned());
            }
        }
        Err("there is no end to the events".to_owned())
    }

    fn begin(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            self.start(node)?;
            let phase = self.random.random_range(0..CHECK_INTERVAL);
            self.schedule(self.now + phase, Happening::HealthCheck { node });
        }
        self.schedule(self.now + SECOND, Happening::Fault);
        self.schedule(self.now, Happening::Presence);
        self.schedule(self.now + TTL_INTERVAL, Happening::Ttls);
        Ok(())
    }

    fn happens(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrives(request) => self.arrives(request),
            Happening::Reaches { node, life, what } => {
                if self.nodes[node].life == life {
                    self.reach(node, what)?;
                }
            }
            Happening::OnDisk { node, write } => {
                self.nodes[node].port.disk(|disk| disk.write(write));
            }
            Happening::WatchEnds { watch } => self.end_watch(watch),
            Happening::HealthCheck { node } => self.check_health(node),
            Happening::Ttls => self.expire_sessions(),
            Happening::EndSession(session) => {
                self.note(|| format!("Consul ends {session}"));
                self.consul.destroy_session(&session);
                self.changed();
            }
            Happening::Presence => self.show_presence()?,
            Happening::Resume { node } => self.resume(node)?,
            Happening::Restart { node } => {
                if self.nodes[node].process.is_none() {
                    self.start(node)?;
                }
            }
            Happening::Prepared { node } => self.prepare(node)?,
            Happening::Fault => self.fault()?,
        }
        Ok(())
    }

    pub(super) fn schedule(&mut self, time: Time, happening: Happening) {
        self.agenda.add(time.max(self.now), happening);
    }

    /// Schedules something for the node's current process.
    pub(super) fn schedule_for(&mut self, node: usize, time: Time, what: Waiting) {
        let life = self.nodes[node].life;
        self.schedule(time, Happening::Reaches { node, life, what });
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.now as f64 / MILLI as f64;
            trace.push(format!("{at:12.3}  {}", line()));
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.now >= self.quiet_from
    }

    /// How likely it is that something goes wrong that does so `often` times
    /// as often as a message is lost.
    pub(super) fn chance(&self, often: f64) -> f64 {
        match self.is_quiet() {
            true => 0.0,
            false => (f64::from(self.trouble) / 1000.0 * often).min(1.0),
        }
    }

    pub(super) fn goes_wrong(&mut self, often: f64) -> bool {
        let chance = self.chance(often);
        chance > 0.0 && self.random.random_bool(chance)
    }

    /// Health checks see nodes that are frozen or down.
    fn check_health(&mut self, node: usize) {
        let is_healthy = self.nodes[node].is_running();
        let late = match is_healthy {
            true => 0,
            false => CHECK_TIMEOUT,
        };
        self.consul.report(node, is_healthy);
        self.changed();
        let next = self.now + CHECK_INTERVAL + late;
        self.schedule(next, Happening::HealthCheck { node });
    }

    fn expire_sessions(&mut self) {
        let expired = self.consul.expire();
        if !expired.is_empty() {
            self.note(|| format!("the TTL of {expired:?} is over"));
            self.changed();
        }
        self.schedule(self.now + TTL_INTERVAL, Happening::Ttls);
    }

    /// Nodes that run learn what the others say of themselves.
    fn show_presence(&mut self) -> Result<(), String> {
        let documents = self.nodes.iter().filter_map(|node| {
            let mut document = node.process.as_ref()?.document();
            document.epoch = node.port.disk(|disk| disk.epoch);
            Some(document)
        });
        let documents = std::sync::Arc::new(documents.collect());
        for node in 0..self.nodes.len() {
            if let Some(process) = &self.nodes[node].process {
                process.see_nodes(&documents);
            }
            self.drive(node)?;
        }
        self.schedule(self.now + PRESENCE_INTERVAL, Happening::Presence);
        Ok(())
    }
}

fn new_nodes(random: &mut StdRng, by_hand: bool, without: Option<Without>) -> Vec<Node> {
    let common = random.random_range(500..3000);
    let nodes = (0..random.random_range(2..=4)).map(|number| {
        let lease = match by_hand {
            true => common,
            false => random.random_range(500..3000),
        };
        let rate = match without {
            Some(Without::BoundedRates) if number == 0 => 600_000,
            Some(Without::BoundedRates) => 1_200_000,
            // As far as Linux slews them; the winner waits a quarter longer.
            _ => random.random_range(900_000..=1_100_000),
        };
        let clock = NodeClock::new(random.random_range(0..1000 * SECOND), rate);
        let node = Node::new(format!("n{number}"), Duration::from_millis(lease), clock);
        if without == Some(Without::EndingUntilConfirmed) {
            node.port.end_once();
        }
        node
    });
    nodes.collect()
}
