//! One world: what happens in it, in the order of true time.

mod questions;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(super) use questions::{Question, Request};

use super::Without;
use super::checker::{Checker, Tenure};
use super::clock::{Clock, MILLI, SECOND, Time};
use super::consul::{Consul, Take};
use super::node::{Node, Waiting};
use crate::lock::{CLEAN, Lock};
use crate::question::{Command, Event};
use sluice_types::lease::{Lease, Standing};

/// How long a node may take to lead once nothing goes wrong any more: calls
/// that are under way, a node that is wished for and does not come, the longest
/// wait of a winner, and another winner before that which proves nothing. A lock
/// that is held in vain until a TTL is over takes longer.
const IN_THE_END: Time = 21 * SECOND;
/// A world with more events turns without getting anywhere.
const MOST_EVENTS: u64 = 200_000;
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Arrives(Request),
    Answered {
        node: usize,
        life: u64,
        event: Event,
    },
    Unanswered {
        node: usize,
        life: u64,
        question: Question,
    },
    Timer {
        node: usize,
        number: u64,
    },
    WatchEnds {
        number: u64,
    },
    /// The data side looks for something to write.
    Idle {
        node: usize,
        life: u64,
    },
    /// The sink took it.
    Written {
        node: usize,
        life: u64,
        tenure: Option<Tenure>,
    },
    /// Looks whose health checks fail, and whose sessions are over.
    Checks,
    EndSession(String),
    Resume {
        node: usize,
    },
    Restart {
        node: usize,
    },
    Fault,
}

/// In the order of time, and of being scheduled.
struct Due(Time, u64, Happening);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// How a world ended, or many.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) violation: Option<String>,
    /// Events that elections took in.
    pub(super) told: u64,
    pub(super) tenures: u64,
    pub(super) decisions: u64,
    /// How long it took in the end.
    pub(super) recovery: Time,
    pub(super) trace: Vec<String>,
}

impl Ended {
    pub(super) fn add(&mut self, other: &Self) {
        self.told += other.told;
        self.tenures += other.tenures;
        self.decisions += other.decisions;
        self.recovery = self.recovery.max(other.recovery);
    }
}

pub(super) struct World {
    pub(super) without: Option<Without>,
    pub(super) random: StdRng,
    pub(super) now: Time,
    due: BinaryHeap<Reverse<Due>>,
    scheduled: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) consul: Consul,
    /// Nothing gets to Consul before.
    pub(super) consul_away_until: Time,
    /// Renewals are told of no session before.
    pub(super) consul_lags_until: Time,
    /// A node whose proofs get no answer in the end: another has to lead.
    pub(super) never_proves: Option<usize>,
    watches: Vec<(u64, Request)>,
    pub(super) checker: Checker,
    tenures: u64,
    decisions: u64,
    /// From then on nothing goes wrong.
    pub(super) quiet_from: Time,
    /// How often, in thousandths, a message is lost, late or repeated.
    trouble: u32,
    /// Whether keys are changed by hand, and Consul loses its state. What is
    /// said of the lease is gone then, so all leases are as long.
    pub(super) by_hand: bool,
    events: u64,
    told: u64,
    trace: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, without: Option<Without>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let by_hand = random.random_bool(0.5);
        let common = random.random_range(500..3000);
        let nodes = (0..random.random_range(2..=4)).map(|number| {
            let lease = if by_hand {
                common
            } else {
                random.random_range(500..3000)
            };
            let rate = match without {
                Some(Without::BoundedRates) if number == 0 => 600_000,
                Some(Without::BoundedRates) => 1_200_000,
                // As far as Linux slews them; the winner waits a quarter longer.
                _ => random.random_range(900_000..=1_100_000),
            };
            let clock = Clock::new(random.random_range(0..1000 * SECOND), rate);
            Node::new(format!("n{number}"), Duration::from_millis(lease), clock)
        });
        let nodes: Vec<_> = nodes.collect();
        let never_proves = random.random_range(0..nodes.len() * 3);
        let never_proves = Some(never_proves).filter(|node| *node < nodes.len());
        let quiet_from = random.random_range(20..90) * SECOND;
        let trouble = random.random_range(0..150);
        Self {
            without,
            random,
            now: 0,
            due: BinaryHeap::new(),
            scheduled: 0,
            nodes,
            consul: Consul::default(),
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
            events: 0,
            told: 0,
            trace: None,
        }
    }

    /// Notes what happens.
    pub(super) fn traced(mut self) -> Self {
        self.trace = Some(Vec::new());
        self
    }

    pub(super) fn run(mut self) -> Ended {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        self.schedule(self.now + SECOND, Happening::Fault);
        self.schedule(self.now + 100 * MILLI, Happening::Checks);
        let violation = self.turn().err();
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
    fn turn(&mut self) -> Result<(), String> {
        while let Some(Reverse(Due(time, _, happening))) = self.due.pop() {
            self.now = time;
            self.consul.now = time;
            self.events += 1;
            self.happens(happening)?;
            let may: Vec<_> = self.nodes.iter().filter_map(|n| n.valid(time)).collect();
            Checker::may(&may)?;
            let lasts = |tenure: &Tenure| Some(tenure.node) != self.never_proves;
            if time > self.quiet_from && may.iter().any(lasts) {
                return Ok(());
            }
            if time > self.quiet_from + IN_THE_END {
                return Err("no node leads although nothing goes wrong any more".to_owned());
            }
            if self.events > MOST_EVENTS {
                return Err("there is no end to the events".to_owned());
            }
        }
        Err("nothing happens any more".to_owned())
    }

    fn happens(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrives(request) => self.arrives(request),
            Happening::Answered { node, life, event } => {
                if self.nodes[node].life == life {
                    self.hears(node, Waiting::Event(event))?;
                }
            }
            Happening::Unanswered {
                node,
                life,
                question,
            } => {
                if self.nodes[node].life == life {
                    self.hears(node, question.unanswered())?;
                }
            }
            Happening::Timer { node, number } => {
                let is_woken = self.without != Some(Without::Timers);
                if is_woken && self.nodes[node].timer.1 == number {
                    self.nodes[node].timer.0 = None;
                    self.hears(node, Waiting::Event(Event::Tick))?;
                }
            }
            Happening::WatchEnds { number } => {
                if let Some(at) = self.watches.iter().position(|(n, _)| *n == number) {
                    let (_, request) = self.watches.swap_remove(at);
                    let event = Event::Watched(Some(self.consul.lock()));
                    self.answer(&request, event);
                }
            }
            Happening::Idle { node, life } => {
                if self.nodes[node].life == life {
                    self.hears(node, Waiting::Idle)?;
                }
            }
            Happening::Written { node, life, tenure } => {
                if self.nodes[node].life == life {
                    self.hears(node, Waiting::Written(tenure))?;
                }
            }
            Happening::Checks => self.check_sessions(),
            Happening::EndSession(session) => {
                self.note(|| format!("Consul ends {session}"));
                self.consul.end(&session);
                self.changed();
            }
            Happening::Resume { node } => self.resume(node)?,
            Happening::Restart { node } => {
                if !self.nodes[node].is_up {
                    self.start(node);
                }
            }
            Happening::Fault => self.fault(),
        }
        Ok(())
    }

    pub(super) fn schedule(&mut self, time: Time, happening: Happening) {
        self.scheduled += 1;
        let due = Due(time.max(self.now), self.scheduled, happening);
        self.due.push(Reverse(due));
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.now as f64 / MILLI as f64;
            trace.push(format!("{at:12.3}  {}", line()));
        }
    }

    pub(super) fn start(&mut self, node: usize) {
        self.note(|| format!("n{node} starts"));
        self.nodes[node].is_up = true;
        let life = self.nodes[node].life;
        let event = Event::Eligible(true);
        self.schedule(self.now, Happening::Answered { node, life, event });
        self.schedule(self.now, Happening::Idle { node, life });
        if self.without != Some(Without::EndingEarlier) {
            for session in self.nodes[node].sessions.clone() {
                self.ask(node, Question::Destroy(session));
            }
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.now >= self.quiet_from
    }

    /// Whether something goes wrong that does so `often` times as often as a
    /// message is lost.
    fn goes_wrong(&mut self, often: f64) -> bool {
        !self.is_quiet() && {
            let chance = f64::from(self.trouble) / 1000.0 * often;
            self.random.random_bool(chance.min(1.0))
        }
    }

    /// How long a message is on its way.
    fn delay(&mut self) -> Time {
        let most = if self.goes_wrong(0.3) {
            10 * SECOND
        } else if self.goes_wrong(1.0) {
            SECOND
        } else {
            3 * MILLI
        };
        self.random.random_range(MILLI / 10..most)
    }

    // The node.

    /// A node takes something in, now or once it goes on.
    fn hears(&mut self, node: usize, what: Waiting) -> Result<(), String> {
        if !self.nodes[node].is_up {
            return Ok(());
        }
        if self.nodes[node].is_paused {
            self.nodes[node].waiting.push(what);
            return Ok(());
        }
        match what {
            Waiting::Event(event) => self.tell(node, event),
            Waiting::Again(question) => self.ask(node, question),
            Waiting::Idle => return self.look_for_work(node),
            Waiting::Written(tenure) => return self.written(node, tenure),
        }
        Ok(())
    }

    fn resume(&mut self, node: usize) -> Result<(), String> {
        if !self.nodes[node].is_paused {
            return Ok(());
        }
        self.note(|| format!("n{node} goes on"));
        self.nodes[node].is_paused = false;
        let mut waiting = std::mem::take(&mut self.nodes[node].waiting);
        while !waiting.is_empty() {
            let next = self.random.random_range(0..waiting.len());
            self.hears(node, waiting.swap_remove(next))?;
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, node: usize, event: Event) {
        if event != Event::Tick {
            self.note(|| format!("n{node} hears {event:?}"));
        }
        let event = self.misheard(node, event);
        let reading = self.nodes[node].clock.at(self.now);
        let place = &mut self.nodes[node];
        match &event {
            Event::Session(Some(session)) => place.sessions.push(session.clone()),
            Event::Destroyed { session } => place.sessions.retain(|known| known != session),
            Event::Renewed {
                exists: Some(true), ..
            } if self.without == Some(Without::ReadsOnly) => {
                if let Some((lease, _)) = &place.lease {
                    lease.extend(reading + place.lease_length);
                }
            }
            Event::Released { .. } if std::mem::take(&mut place.revokes_late) => {
                if let Some((lease, _)) = &place.lease {
                    lease.revoke();
                }
            }
            _ => {}
        }
        self.told += 1;
        let commands = place.election.handle(reading, event);
        let releases = commands
            .iter()
            .any(|c| matches!(c, Command::Release { .. }));
        for command in commands {
            self.note(|| format!("n{node} {command:?}"));
            self.carry_out(node, command, releases);
        }
        self.set_timer(node);
    }

    /// What a node makes of a renewal's answer where a rule is left out.
    fn misheard(&mut self, node: usize, event: Event) -> Event {
        let Event::Renewed { session, exists } = event else {
            return event;
        };
        let place = &mut self.nodes[node];
        match (self.without, exists) {
            (Some(Without::Doubt), Some(false)) => {
                place.believed_gone.push(session.clone());
                if let Some((_, tenure)) = place.lease {
                    let seen = Event::Proved {
                        epoch: tenure.epoch,
                        sent: place.clock.at(self.now),
                        lock: Some(Lock::default()),
                    };
                    self.tell(node, seen);
                }
                Event::Renewed { session, exists }
            }
            (Some(Without::LettingGo), Some(true)) => Event::Renewed {
                session,
                exists: None,
            },
            _ => Event::Renewed { session, exists },
        }
    }

    /// As `Campaign::carry_out` does, but for a rule that is left out.
    fn carry_out(&mut self, node: usize, command: Command, releases: bool) {
        let question = match command {
            Command::Lead { epoch, from, until } => {
                let from = match self.without {
                    Some(Without::Waiting) => self.nodes[node].clock.at(self.now),
                    _ => from,
                };
                self.tenures += 1;
                let tenure = Tenure {
                    node,
                    number: self.tenures,
                    epoch,
                };
                self.checker.highest = self.checker.highest.max(epoch);
                self.nodes[node].lease = Some((Lease::new(epoch, from, until), tenure));
                self.nodes[node].revokes_late = false;
                return;
            }
            Command::Extend { until } => {
                if let Some((lease, _)) = &self.nodes[node].lease {
                    lease.extend(until);
                }
                return;
            }
            Command::Lose { .. } => {
                if releases && self.without == Some(Without::StoppingFirst) {
                    self.nodes[node].revokes_late = true;
                } else if let Some((lease, _)) = &self.nodes[node].lease {
                    lease.revoke();
                }
                return;
            }
            Command::Finished => {
                self.nodes[node].crash();
                let restart = self.now + self.random.random_range(0..2 * SECOND);
                self.schedule(restart, Happening::Restart { node });
                return;
            }
            Command::EpochWasBehind { .. } => return,
            Command::Show(_) => Question::SeeEpoch,
            Command::CreateSession => Question::CreateSession,
            Command::Renew { session } => Question::Renew(session),
            Command::Destroy { session } => {
                if self.nodes[node].believed_gone.contains(&session) {
                    let (life, event) = (self.nodes[node].life, Event::Destroyed { session });
                    self.schedule(self.now, Happening::Answered { node, life, event });
                    return;
                }
                Question::Destroy(session)
            }
            Command::Watch { index } => Question::Watch(index),
            Command::Look => Question::Look,
            Command::Take {
                sent,
                session,
                expected,
                epoch,
                epoch_index,
                wish_index,
                flags,
            } => Question::Take {
                sent,
                take: Take {
                    session,
                    expected,
                    epoch,
                    epoch_index,
                    wish_index,
                    flags,
                },
            },
            Command::Prove { epoch, sent } => Question::Prove { epoch, sent },
            Command::Release {
                session,
                flags,
                wish,
            } => Question::Release {
                session,
                flags: match self.without {
                    Some(Without::FoundFlags) => CLEAN,
                    _ => flags,
                },
                wish,
            },
        };
        self.ask(node, question);
    }

    fn set_timer(&mut self, node: usize) {
        let place = &mut self.nodes[node];
        if !place.is_up {
            return;
        }
        let wake = place.election.wake().map(|wake| place.clock.shows(wake));
        if wake == place.timer.0 {
            return;
        }
        place.timer = (wake, place.timer.1 + 1);
        let number = place.timer.1;
        if let Some(wake) = wake {
            let late = if self.goes_wrong(0.5) {
                500 * MILLI
            } else {
                MILLI
            };
            let late = self.random.random_range(0..late);
            self.schedule(wake + late, Happening::Timer { node, number });
        }
    }

    // The data side.

    /// The lease is asked; then a write begins.
    fn look_for_work(&mut self, node: usize) -> Result<(), String> {
        let life = self.nodes[node].life;
        let allowed = match self.without {
            Some(Without::AskingFirst) => self.nodes[node].lease.as_ref().map(|(_, it)| *it),
            _ => self.nodes[node].valid(self.now),
        };
        let Some(tenure) = allowed else {
            let pause = self.random.random_range(1..500) * MILLI;
            self.schedule(self.now + pause, Happening::Idle { node, life });
            return Ok(());
        };
        self.checker.decided(self.now, tenure, "writes")?;
        let most = if self.random.random_bool(0.1) {
            3000
        } else {
            50
        };
        let took = self.random.random_range(0..most) * MILLI;
        let tenure = Some(tenure);
        self.schedule(self.now + took, Happening::Written { node, life, tenure });
        Ok(())
    }

    /// The lease is asked again; then it is acknowledged, or waits.
    fn written(&mut self, node: usize, tenure: Option<Tenure>) -> Result<(), String> {
        let life = self.nodes[node].life;
        let Some(written) = tenure else {
            return Ok(());
        };
        let standing = match &self.nodes[node].lease {
            Some((lease, current)) if *current == written => {
                lease.at(self.nodes[node].clock.at(self.now))
            }
            _ => Standing::Revoked,
        };
        let asks = self.without != Some(Without::AskingAgain);
        let pause = self.random.random_range(1..200) * MILLI;
        match standing {
            Standing::Suspended if asks => {
                self.schedule(self.now + pause, Happening::Written { node, life, tenure });
                return Ok(());
            }
            Standing::Revoked if asks => {}
            _ => {
                self.note(|| format!("n{node} acknowledges under epoch {}", written.epoch));
                self.decisions += 1;
                self.checker.decided(self.now, written, "acknowledges")?;
            }
        }
        self.schedule(self.now + pause, Happening::Idle { node, life });
        Ok(())
    }
}
