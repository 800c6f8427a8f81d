//! Between nodes and Consul: questions and answers, which may be late, lost or
//! repeated.

use rand::RngExt;
use tokio::sync::oneshot;

use super::clock::{MILLI, SECOND, Time};
use super::happening::Happening;
use super::node::Waiting;
use super::process::value_of;
use super::question::{Answer, Question, Request};
use super::without::Without;
use super::world::{Watch, World};
use crate::lock::Lock;

/// How long a watch waits for a change.
const WATCH_WAIT: Time = 2 * SECOND;
/// The pause before a session is asked for again whose check is critical.
const CREATE_INTERVAL: Time = 50 * MILLI;

impl World {
    /// A node's driver makes a call.
    pub(super) fn ask(&mut self, node: usize, question: Question, reply: oneshot::Sender<Answer>) {
        let place = &self.nodes[node];
        let lease = u64::try_from(place.lease_length.as_nanos()).unwrap_or(Time::MAX);
        let timeout = question.timeout(lease);
        let is_proof = matches!(question, Question::Prove);
        let is_away = self.now < self.consul_away_until;
        let is_cut = match &question {
            Question::Assist(_) => is_away || !self.is_any_in_touch(node),
            _ => {
                is_away || self.now < place.cut_until || is_proof && self.now < place.unproven_until
            }
        };
        let call = self.agenda.number();
        if let Some(process) = &mut self.nodes[node].process {
            process.calls.insert(call, reply);
        }
        let request = Request {
            node,
            call,
            question,
            deadline: Some(self.now + timeout),
        };
        // The end of a session is what drivers have to repeat.
        let often = match request.question {
            Question::EndSession(_) => 2.0,
            _ => 0.5,
        };
        if is_cut || self.goes_wrong(often) {
            self.lose(request, timeout, is_cut);
            return;
        }
        if self.goes_wrong(0.3) {
            // Something on the way to Consul repeats the question.
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

    /// Whether another node runs and reaches Consul.
    fn is_any_in_touch(&self, node: usize) -> bool {
        let others = self.nodes.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != node);
        others.any(|(_, other)| other.is_running() && self.now >= other.cut_until)
    }

    /// The question is lost, or so late that the node no longer waits.
    fn lose(&mut self, mut request: Request, timeout: Time, is_cut: bool) {
        let given_up = self.now + self.random.random_range(MILLI..timeout);
        let nothing = Waiting::Answer(request.call, None);
        self.schedule_for(request.node, given_up, nothing);
        request.deadline = None;
        if !is_cut && self.random.random_bool(0.5) {
            let late = self.now + self.random.random_range(0..20 * SECOND);
            self.schedule(late, Happening::Arrives(request));
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

    /// A question reaches Consul.
    pub(super) fn arrives(&mut self, request: Request) {
        let node = request.node;
        self.note(|| format!("Consul gets {:?} of n{node}", request.question));
        let answer = match &request.question {
            Question::OpenSession => match self.consul.create_session(node) {
                Some(id) => Answer::Session(id),
                None => return self.ask_again(request),
            },
            Question::KeepAlive(session) => Answer::IsAlive(self.renew(node, session)),
            Question::EndSession(session) => {
                self.consul.destroy_session(session);
                Answer::Done
            }
            Question::Watch(index) => {
                let (index, lock) = (*index, self.shown(node));
                if lock.index <= index {
                    return self.wait(request, index);
                }
                Answer::Lock(lock)
            }
            Question::Look => Answer::Looked(self.consul.look()),
            Question::Take(take) => {
                let value = value_of(&self.nodes[node].name);
                Answer::Taken(self.consul.take(take, &value))
            }
            Question::Prove => Answer::Lock(match self.without {
                Some(Without::Consistency) => self.shown(node),
                _ => self.consul.lock(),
            }),
            Question::Release(release) => {
                let value = value_of(&self.nodes[node].name);
                self.consul.release(release, &value);
                Answer::Done
            }
            Question::ReadEpoch => Answer::Epoch(self.consul.epoch().value),
            Question::Assist(assistance) => Answer::Assisted(self.consul.assist(assistance)),
        };
        self.answer(&request, answer);
        self.changed();
    }

    fn renew(&mut self, node: usize, session: &str) -> bool {
        let place = &self.nodes[node];
        let is_behind = place.stale.as_ref().is_some_and(|stale| self.now < stale.1);
        let is_stale = is_behind || self.goes_wrong(2.0);
        self.now >= self.consul_lags_until && self.consul.renew(session, is_stale)
    }

    /// The check of the node is not passing yet.
    fn ask_again(&mut self, request: Request) {
        match request.deadline {
            Some(deadline) if self.now + CREATE_INTERVAL < deadline => {
                self.schedule(self.now + CREATE_INTERVAL, Happening::Arrives(request));
            }
            Some(deadline) => {
                let nothing = Waiting::Answer(request.call, None);
                self.schedule_for(request.node, deadline, nothing);
            }
            None => {}
        }
    }

    /// The watch waits at Consul.
    fn wait(&mut self, request: Request, index: u64) {
        let number = self.agenda.number();
        let ends = self.now + WATCH_WAIT;
        self.schedule(ends, Happening::WatchEnds { watch: number });
        self.watches.push(Watch {
            number,
            index,
            interest: self.consul.interest(),
            request,
        });
    }

    pub(super) fn end_watch(&mut self, number: u64) {
        let watch = self.watches.iter().position(|watch| watch.number == number);
        if let Some(at) = watch {
            let watch = self.watches.swap_remove(at);
            let lock = self.shown(watch.request.node);
            self.answer(&watch.request, Answer::Lock(lock));
        }
    }

    /// The lock as a read that need not be consistent shows it to this node.
    fn shown(&self, node: usize) -> Lock {
        match &self.nodes[node].stale {
            Some((lock, until)) if self.now < *until => lock.clone(),
            _ => self.consul.lock(),
        }
    }

    /// Sends an answer back; it may be late or lost.
    fn answer(&mut self, request: &Request, answer: Answer) {
        let Some(deadline) = request.deadline else {
            return;
        };
        let arrival = self.now + self.delay();
        let is_from_node = matches!(request.question, Question::Assist(_));
        let is_cut = !is_from_node && self.now < self.nodes[request.node].cut_until;
        let is_lost = is_cut || arrival > deadline || self.goes_wrong(0.5);
        let (time, answer) = match is_lost {
            true => (deadline, None),
            false => (arrival, Some(answer)),
        };
        self.schedule_for(request.node, time, Waiting::Answer(request.call, answer));
    }

    /// Wakes the watches that what has changed concerns.
    pub(super) fn changed(&mut self) {
        let changes = self.consul.changes();
        let mut waiting = std::mem::take(&mut self.watches);
        let concerned = waiting.extract_if(.., |watch| changes.concerns(&watch.interest));
        let concerned: Vec<_> = concerned.collect();
        self.watches = waiting;
        for mut watch in concerned {
            let lock = self.shown(watch.request.node);
            if lock.index > watch.index {
                self.answer(&watch.request, Answer::Lock(lock));
            } else {
                watch.interest = self.consul.interest();
                self.watches.push(watch);
            }
        }
    }

    /// Ends watches without an answer.
    pub(super) fn drop_watches(&mut self) {
        for watch in std::mem::take(&mut self.watches) {
            let nothing = Waiting::Answer(watch.request.call, None);
            self.schedule_for(watch.request.node, self.now + MILLI, nothing);
        }
    }
}
