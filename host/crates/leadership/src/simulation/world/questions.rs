//! Between nodes and Consul: questions and answers, which may be late, lost or
//! repeated.

use rand::RngExt;

use super::{Happening, World};
use crate::lock::Lock;
use crate::question::{Event, Looked, Taken};
use crate::simulation::Without;
use crate::simulation::clock::{MILLI, SECOND, Time};
use crate::simulation::consul::Take;
use crate::simulation::node::Waiting;
use sluice_types::clock::BootTime;

/// How long a watch waits for a change, and its client for the answer.
const WATCH: Time = 2 * SECOND;
const WATCH_TIMEOUT: Time = 4 * SECOND;
/// The client's timeout for everything else, but for a proof, whose is the
/// lease.
const TIMEOUT: Time = 2 * SECOND;
const RENEWAL_TIMEOUT: Time = 6 * SECOND;

/// What a node asks of Consul.
#[derive(Clone, Debug)]
pub(in crate::simulation) enum Question {
    CreateSession,
    Renew(String),
    Destroy(String),
    Watch(u64),
    Look,
    Take {
        sent: BootTime,
        take: Take,
    },
    Prove {
        epoch: u64,
        sent: BootTime,
    },
    Release {
        session: String,
        flags: u64,
        wish: Option<String>,
    },
    SeeEpoch,
}

impl Question {
    /// What the node does if there is no answer.
    pub(super) fn unanswered(&self) -> Waiting {
        Waiting::Event(match self {
            // Until it was heard.
            Self::Destroy(_) => return Waiting::Again(self.clone()),
            Self::CreateSession => Event::Session(None),
            Self::Renew(session) => Event::Renewed {
                session: session.clone(),
                exists: None,
            },
            Self::Watch(_) => Event::Watched(None),
            Self::Look => Event::Looked(None),
            Self::Take { sent, .. } => Event::Took {
                sent: *sent,
                taken: Taken::Unknown,
            },
            Self::Prove { epoch, sent } => Event::Proved {
                epoch: *epoch,
                sent: *sent,
                lock: None,
            },
            Self::Release { session, .. } => Event::Released {
                session: session.clone(),
            },
            Self::SeeEpoch => Event::Tick,
        })
    }
}

/// A question on its way, and until when its node waits for the answer.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Request {
    node: usize,
    life: u64,
    question: Question,
    /// `None`: nobody waits any more.
    deadline: Option<Time>,
}

impl World {
    pub(super) fn ask(&mut self, node: usize, question: Question) {
        let timeout = match &question {
            Question::Watch(_) => WATCH_TIMEOUT,
            Question::Prove { .. } => {
                u64::try_from(self.nodes[node].lease_length.as_nanos()).unwrap_or(TIMEOUT)
            }
            Question::CreateSession => 3 * TIMEOUT,
            Question::Renew(_) => RENEWAL_TIMEOUT,
            _ => TIMEOUT,
        };
        let life = self.nodes[node].life;
        let is_proof = matches!(question, Question::Prove { .. });
        let is_cut = self.now < self.nodes[node].cut_until
            || self.now < self.consul_away_until
            || is_proof && self.now < self.nodes[node].unproven_until;
        let mut request = Request {
            node,
            life,
            question,
            deadline: Some(self.now + timeout),
        };
        if is_cut || self.goes_wrong(0.5) {
            // Lost, or so late that nobody waits any more.
            let question = request.question.clone();
            let heard = self.now + self.random.random_range(MILLI..timeout);
            let unanswered = Happening::Unanswered {
                node,
                life,
                question,
            };
            self.schedule(heard, unanswered);
            request.deadline = None;
            if !is_cut && self.random.random_bool(0.5) {
                let late = self.now + self.random.random_range(0..20 * SECOND);
                self.schedule(late, Happening::Arrives(request));
            }
            return;
        }
        if self.goes_wrong(0.3) {
            // Something between asks again.
            let again = Request {
                deadline: None,
                ..request.clone()
            };
            let late = self.now + self.random.random_range(0..5 * SECOND);
            self.schedule(late, Happening::Arrives(again));
        }
        let arrival = self.now + self.delay();
        self.schedule(arrival, Happening::Arrives(request));
    }

    pub(super) fn arrives(&mut self, request: Request) {
        let (node, now) = (request.node, self.now);
        self.note(|| format!("Consul gets {:?} of n{node}", request.question));
        let is_stale = self.goes_wrong(2.0);
        let event = match &request.question {
            Question::CreateSession => Event::Session(Some(self.consul.create_session(node))),
            Question::Renew(session) if now < self.consul_lags_until => Event::Renewed {
                session: session.clone(),
                exists: Some(false),
            },
            Question::Renew(session) => Event::Renewed {
                session: session.clone(),
                exists: Some(self.consul.renew(session, is_stale)),
            },
            Question::Destroy(session) => {
                self.consul.end(session);
                Event::Destroyed {
                    session: session.clone(),
                }
            }
            Question::Watch(index) => {
                let lock = self.shown(node);
                if *index == lock.index {
                    self.scheduled += 1;
                    let number = self.scheduled;
                    self.schedule(now + WATCH, Happening::WatchEnds { number });
                    self.watches.push((number, request));
                    return;
                }
                Event::Watched(Some(lock))
            }
            Question::Look => Event::Looked(Some(Looked {
                lock: self.consul.lock(),
                epoch: self.consul.epoch(),
                wish: self.consul.wish(),
            })),
            Question::Take { sent, take } => Event::Took {
                sent: *sent,
                taken: self.consul.take(take, self.nodes[node].name.as_bytes()),
            },
            Question::Prove { epoch, sent } => {
                let lock = match self.without {
                    Some(Without::Consistency) => self.shown(node),
                    _ => self.consul.lock(),
                };
                Event::Proved {
                    epoch: *epoch,
                    sent: *sent,
                    lock: Some(lock),
                }
            }
            Question::Release {
                session,
                flags,
                wish,
            } => {
                if let (Some(wish), true) = (wish, self.consul.holder().as_ref() == Some(session)) {
                    self.consul.wish_for(wish.clone());
                }
                self.consul.release(session, *flags);
                Event::Released {
                    session: session.clone(),
                }
            }
            Question::SeeEpoch => Event::EpochSeen(self.consul.epoch().value),
        };
        self.answer(&request, event);
        self.changed();
    }

    /// The lock as a read that need not be consistent shows it to this node.
    fn shown(&self, node: usize) -> Lock {
        match &self.nodes[node].stale {
            Some((lock, until)) if self.now < *until => lock.clone(),
            _ => self.consul.lock(),
        }
    }

    /// Sends an answer back; it may be lost, late or repeated.
    pub(super) fn answer(&mut self, request: &Request, event: Event) {
        let (node, life) = (request.node, request.life);
        let Some(deadline) = request.deadline else {
            return;
        };
        let arrival = self.now + self.delay();
        let is_cut = self.now < self.nodes[node].cut_until;
        let heard = if is_cut || arrival > deadline || self.goes_wrong(0.5) {
            let question = request.question.clone();
            let unanswered = Happening::Unanswered {
                node,
                life,
                question,
            };
            self.schedule(deadline, unanswered);
            return;
        } else {
            arrival
        };
        if self.goes_wrong(0.3) {
            let again = heard + self.random.random_range(0..5 * SECOND);
            let event = event.clone();
            self.schedule(again, Happening::Answered { node, life, event });
        }
        self.schedule(heard, Happening::Answered { node, life, event });
    }

    /// Wakes the watches for which the lock has changed.
    pub(in crate::simulation) fn changed(&mut self) {
        let lock = self.consul.lock();
        let is_woken = |(_, request): &(u64, Request)| matches!(request.question, Question::Watch(index) if index != lock.index);
        let (woken, waiting) = std::mem::take(&mut self.watches)
            .into_iter()
            .partition(is_woken);
        self.watches = waiting;
        let woken: Vec<(u64, Request)> = woken;
        for (_, request) in woken {
            let event = Event::Watched(Some(self.shown(request.node)));
            self.answer(&request, event);
        }
    }

    /// Ends watches without an answer.
    pub(in crate::simulation) fn drop_watches(&mut self) {
        for (_, Request { node, life, .. }) in std::mem::take(&mut self.watches) {
            let event = Event::Watched(None);
            self.schedule(self.now + MILLI, Happening::Answered { node, life, event });
        }
    }

    /// Health checks see nodes that stand still or are gone, and TTLs run out.
    pub(super) fn check_sessions(&mut self) {
        let mut over = self.consul.expired();
        for (number, node) in self.nodes.iter().enumerate() {
            if node.is_paused || !node.is_up {
                over.extend(self.consul.sessions_of(number));
            }
        }
        for session in over {
            // Some checks are made now, some later.
            if self.random.random_bool(0.1) {
                self.schedule(self.now, Happening::EndSession(session));
            }
        }
        self.schedule(self.now + 100 * MILLI, Happening::Checks);
    }
}
