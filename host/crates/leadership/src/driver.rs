//! Carries out the election's commands, and reports the results to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::calls::Calls;
use super::clock::Clock;
use super::command::Command;
use super::coordination::Coordination;
use super::election::Election;
use super::event::Event;
use super::heartbeat::Heartbeat;
use super::node_disk::NodeDisk;
use super::order::{Order, StepDown};
use super::peers::Peers;
use super::publisher::Publisher;
use super::sessions::Sessions;
use super::settings::Settings;
use super::view::View;
use sluice_types::clock::BootTime;
use sluice_types::lease::Lease;

/// How long leaving may take when the coordinator is slow: a release, then the
/// end of a session.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(4);
/// The loop beats the heartbeat at least this often.
const BEAT_INTERVAL: Duration = Duration::from_millis(250);

/// What the driver works with.
pub(super) struct Tools {
    pub(super) coordination: Coordination,
    pub(super) disk: NodeDisk,
    pub(super) clock: Clock,
    pub(super) heartbeat: Arc<Heartbeat>,
    pub(super) peers: Peers,
}

/// Runs one node's part in the election.
pub(super) struct Driver {
    election: Election,
    calls: Calls,
    publisher: Publisher,
    coordination: Coordination,
    clock: Clock,
    heartbeat: Arc<Heartbeat>,
    peers: Peers,
    /// Whether the lock is left to a node that is better prepared.
    is_yielding: bool,
    is_coordinator_answering: bool,
    /// What a simulated world does between the driver and the election.
    #[cfg(test)]
    interference: Option<crate::simulation::Interference>,
}

impl Driver {
    pub(super) fn new(settings: Settings, tools: Tools, publisher: Publisher) -> Self {
        let Tools {
            coordination,
            disk,
            clock,
            heartbeat,
            peers,
        } = tools;
        let sessions = Sessions::new(coordination.clone(), disk.clone(), clock.clone());
        Self {
            election: Election::new(settings, disk.highest_epoch()),
            calls: Calls::new(coordination.clone(), sessions, disk),
            publisher,
            coordination,
            clock,
            heartbeat,
            peers,
            is_yielding: false,
            is_coordinator_answering: true,
            #[cfg(test)]
            interference: None,
        }
    }

    #[cfg(test)]
    pub(super) fn interfere(&mut self, interference: crate::simulation::Interference) {
        self.interference = Some(interference);
    }

    /// Runs until an order to shut down is carried out, or the coordinator
    /// has not answered for too long after it. `eligible` says whether this
    /// node can lead at the start.
    pub(super) async fn run(mut self, eligible: bool, orders: mpsc::Receiver<Order>) {
        self.calls.end_earlier_sessions();
        let is_yielding = self.peers.must_yield();
        for event in [Event::Yielding(is_yielding), Event::Eligible(eligible)] {
            self.note(&event);
            self.take_in(event);
        }
        let mut orders = Some(orders);
        let mut leave_by = None;
        loop {
            self.heartbeat.beat();
            let event = self.next_event(&mut orders).await;
            self.note(&event);
            if event == Event::Shutdown {
                leave_by.get_or_insert(self.clock.now() + LEAVE_TIMEOUT);
            }
            if self.take_in_with_epoch(event) {
                return;
            }
            self.publish_view();
            if leave_by.is_some_and(|by| self.clock.now() >= by) {
                tracing::warn!("the coordinator did not answer while the lock was released");
                return;
            }
        }
    }

    async fn next_event(&mut self, orders: &mut Option<mpsc::Receiver<Order>>) -> Event {
        let now = self.clock.now();
        let until_due = self.election.wake().map(|wake| wake.since(now));
        let wait = until_due.map_or(BEAT_INTERVAL, |wait| wait.min(BEAT_INTERVAL));
        tokio::select! {
            biased;
            order = next_order(orders) => ordered(order),
            event = self.calls.next() => event,
            yielding = self.peers.changed(self.is_yielding) => Event::Yielding(yielding),
            () = self.clock.sleep(wait) => Event::Tick,
        }
    }

    /// Passes an event to the election, after the highest epoch of the other
    /// nodes: they may have led under a state that the coordinator has lost.
    /// Returns whether the election is finished.
    fn take_in_with_epoch(&mut self, event: Event) -> bool {
        let seen = self.peers.highest_epoch();
        let is_news = seen > self.election.epoch();
        if is_news && self.take_in(Event::EpochSeen(seen)) {
            return true;
        }
        self.take_in(event)
    }

    fn take_in(&mut self, event: Event) -> bool {
        for command in self.decide(event) {
            if command == Command::Finished {
                return true;
            }
            self.carry_out(command);
        }
        false
    }

    fn decide(&mut self, event: Event) -> Vec<Command> {
        let now = self.clock.now();
        #[cfg(test)]
        if let Some(interference) = &mut self.interference {
            return interference.decide(&mut self.election, &mut self.calls, now, event);
        }
        self.election.handle(now, event)
    }

    /// Logs once when the coordinator stops answering, once when it is back,
    /// and when the lock is left to others.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Watched(lock) => self.note_answer(lock.is_some()),
            Event::Yielding(yielding) => {
                self.is_yielding = *yielding;
                if *yielding && !self.publisher.is_leader() {
                    tracing::info!(
                        "leaving the lock to others: another node has prepared the sink that is \
                         asked for, and this one has not"
                    );
                }
            }
            _ => {}
        }
    }

    fn note_answer(&mut self, is_answering: bool) {
        if is_answering == self.is_coordinator_answering {
            return;
        }
        self.is_coordinator_answering = is_answering;
        let consul = self.coordination.address();
        if is_answering {
            tracing::info!(consul, "Consul answers again");
        } else {
            tracing::warn!(consul, "Consul does not answer; trying again");
        }
    }

    fn publish_view(&self) {
        self.publisher.view(View {
            session: self.election.session().is_some(),
            epoch: self.election.epoch(),
            releasing: self.election.is_releasing(),
        });
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Lead { epoch, from, until } => self.lead(epoch, from, until),
            Command::Extend { until } => self.publisher.extend(until),
            Command::Lose { loss } => self.publisher.lose(&loss),
            Command::Show(lock) => {
                self.publisher.show(&lock);
                self.calls.read_epoch();
            }
            Command::EpochWasBehind { consul, known } => tracing::warn!(
                consul,
                known,
                "Consul has lost its state or the epoch's key was changed by hand; \
                 continuing above the highest epoch known"
            ),
            Command::CreateSession => self.calls.create_session(),
            Command::Renew { session } => self.calls.renew(session),
            Command::Destroy { session } => self.calls.destroy(session),
            Command::Watch { index } => self.calls.watch(index),
            Command::Look => self.calls.look(),
            Command::Take { sent, take } => self.calls.take(sent, take),
            Command::Prove { epoch, sent } => self.calls.prove(epoch, sent),
            Command::Release {
                session,
                flags,
                successor,
            } => self.calls.release(session, flags, successor),
            Command::Finished => {}
        }
    }

    fn lead(&mut self, epoch: u64, from: BootTime, until: BootTime) {
        let wait_ms = from.since(self.clock.now()).as_millis();
        tracing::info!(epoch, wait_ms, "this node leads");
        let lease = Lease::new(epoch, from, until);
        self.publisher.lead(lease, self.election.session());
    }
}

/// The next order; `None`, once, when the sender of orders is gone.
async fn next_order(orders: &mut Option<mpsc::Receiver<Order>>) -> Option<Order> {
    let Some(open) = orders else {
        return std::future::pending().await;
    };
    let order = open.recv().await;
    if order.is_none() {
        *orders = None;
    }
    order
}

fn ordered(order: Option<Order>) -> Event {
    match order {
        Some(Order::Eligible(eligible)) => Event::Eligible(eligible),
        Some(Order::StepDown(StepDown {
            epoch,
            stay_out,
            until_taken,
            to,
        })) => Event::StepDown {
            epoch,
            stay_out,
            until_taken,
            to,
        },
        Some(Order::Shutdown) | None => Event::Shutdown,
    }
}
