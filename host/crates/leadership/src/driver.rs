//! Carries out the commands of the elections, and reports the results to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::{mpsc, watch};

use super::assistance::Allies;
use super::calls::Calls;
use super::clock::Clock;
use super::command::{Command, StreamCommand};
use super::coordination::Coordination;
use super::elections::Elections;
use super::event::{Event, StreamEvent};
use super::heartbeat::Heartbeat;
use super::node_disk::NodeDisk;
use super::order::{Order, StepDown, StreamOrder};
use super::peers::Peers;
use super::publisher::Publisher;
use super::sessions::Sessions;
use super::settings::Settings;
use super::stream_name::StreamName;
use super::view::View;
use super::watching::Watching;
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
    pub(super) allies: Allies,
    pub(super) view: watch::Sender<View>,
}

/// A stream that the node takes part in.
pub(super) struct Part {
    pub(super) publisher: Publisher,
    pub(super) peers: Peers,
    /// Whether the lock is left to a node that is better prepared.
    is_yielding: bool,
}

impl Part {
    pub(super) const fn new(publisher: Publisher, peers: Peers) -> Self {
        Self {
            publisher,
            peers,
            is_yielding: false,
        }
    }
}

/// Runs one node's part in the elections.
pub(super) struct Driver {
    elections: Elections,
    calls: Calls,
    streams: BTreeMap<StreamName, Part>,
    view: watch::Sender<View>,
    coordination: Coordination,
    clock: Clock,
    heartbeat: Arc<Heartbeat>,
    is_coordinator_answering: bool,
    /// What a simulated world does between the driver and the elections.
    #[cfg(test)]
    interference: Option<crate::simulation::Interference>,
}

impl Driver {
    pub(super) fn new(settings: Settings, tools: Tools) -> Self {
        let Tools {
            coordination,
            disk,
            clock,
            heartbeat,
            allies,
            view,
        } = tools;
        let sessions = Sessions::new(coordination.clone(), disk.clone(), clock.clone());
        Self {
            elections: Elections::new(settings, disk.highest_epoch()),
            calls: Calls::new(coordination.clone(), sessions, disk, clock.clone(), allies),
            streams: BTreeMap::new(),
            view,
            coordination,
            clock,
            heartbeat,
            is_coordinator_answering: true,
            #[cfg(test)]
            interference: None,
        }
    }

    #[cfg(test)]
    pub(super) fn interfere(&mut self, interference: crate::simulation::Interference) {
        self.interference = Some(interference);
    }

    /// Takes part in the election of this stream from now on. `eligible` says
    /// whether this node can lead it.
    pub(super) fn join(&mut self, stream: StreamName, part: Part, eligible: bool) {
        self.elections.add(&stream);
        let is_yielding = part.peers.must_yield();
        self.streams.insert(stream.clone(), part);
        for event in [
            StreamEvent::Yielding(is_yielding),
            StreamEvent::Eligible(eligible),
        ] {
            let event = Event::Stream(stream.clone(), event);
            self.note(&event);
            self.take_in(event);
        }
    }

    /// Runs until an order to shut down is carried out, or the coordinator
    /// has not answered for too long after it.
    pub(super) async fn run(mut self, orders: mpsc::Receiver<Order>) {
        self.calls.end_earlier_sessions();
        let mut orders = Some(orders);
        let mut leave_by = None;
        loop {
            self.heartbeat.beat();
            let event = self.next_event(&mut orders).await;
            self.note(&event);
            if event == Event::Shutdown {
                leave_by.get_or_insert(self.clock.now() + LEAVE_TIMEOUT);
            }
            if self.take_in_with_epochs(event) {
                return;
            }
            self.publish_view();
            if leave_by.is_some_and(|by| self.clock.now() >= by) {
                tracing::warn!("the coordinator did not answer while the locks were released");
                return;
            }
        }
    }

    async fn next_event(&mut self, orders: &mut Option<mpsc::Receiver<Order>>) -> Event {
        let now = self.clock.now();
        let until_due = self.elections.wake().map(|wake| wake.since(now));
        let wait = until_due.map_or(BEAT_INTERVAL, |wait| wait.min(BEAT_INTERVAL));
        tokio::select! {
            biased;
            order = next_order(orders) => ordered(order),
            event = self.calls.next() => event,
            event = yielding(&mut self.streams) => event,
            () = self.clock.sleep(wait) => Event::Tick,
        }
    }

    /// Passes an event to the elections, after the highest epochs under which
    /// other nodes have led: it may have been under a state that the coordinator
    /// has lost. Returns whether the elections are finished.
    fn take_in_with_epochs(&mut self, event: Event) -> bool {
        let seen = self.streams.iter();
        let seen = seen.map(|(stream, part)| (stream.clone(), part.peers.highest_epoch()));
        let known = self.elections.epoch();
        let news: Vec<_> = seen.filter(|(_, epoch)| *epoch > known).collect();
        for (stream, epoch) in news {
            if self.take_in(Event::Stream(stream, StreamEvent::Led(epoch))) {
                return true;
            }
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
            return interference.decide(&mut self.elections, &mut self.calls, now, event);
        }
        self.elections.handle(now, event)
    }

    /// Logs once when the coordinator stops answering, once when it is back,
    /// and when a lock is left to others.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Watched(Watching::Default, seen) => self.note_answer(seen.is_some()),
            Event::Stream(stream, StreamEvent::Yielding(yielding)) => {
                let Some(part) = self.streams.get_mut(stream) else {
                    return;
                };
                part.is_yielding = *yielding;
                if *yielding && !part.publisher.is_leader() {
                    tracing::info!(
                        stream = &**stream,
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
        let view = View {
            session: self.elections.session().is_some(),
            epoch: self.elections.epoch(),
            releasing: self.elections.is_releasing(),
        };
        self.view
            .send_if_modified(|current| std::mem::replace(current, view) != view);
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::EpochWasBehind { consul, known } => tracing::warn!(
                consul,
                known,
                "Consul has lost its state or the epoch's key was changed by hand; \
                 continuing above the highest epoch known"
            ),
            Command::CreateSession => self.calls.create_session(),
            Command::Renew { session } => self.calls.renew(session),
            Command::Destroy { session } => self.calls.destroy(session),
            Command::Watch { watching, index } => self.calls.watch(watching, index),
            Command::Prove { sent, tenures } => self.calls.prove(sent, tenures),
            Command::AskOthers {
                stream,
                session,
                acquisition,
            } => self.calls.ask_others(stream, session, acquisition),
            Command::Stream(stream, command) => self.carry_out_for(stream, command),
            Command::Finished => {}
        }
    }

    fn carry_out_for(&mut self, stream: StreamName, command: StreamCommand) {
        let Some(part) = self.streams.get_mut(&stream) else {
            return;
        };
        let publisher = &mut part.publisher;
        match command {
            StreamCommand::Lead { epoch, from, until } => self.lead(&stream, epoch, from, until),
            StreamCommand::Extend { until } => publisher.extend(until),
            StreamCommand::Lose { loss } => publisher.lose(&loss),
            StreamCommand::Show(lock) => {
                publisher.show(&lock);
                self.calls.read_epoch();
            }
            StreamCommand::Look => self.calls.look(stream),
            StreamCommand::Take { sent, take } => self.calls.take(stream, sent, take),
            StreamCommand::Release(release) => self.calls.release(stream, release),
        }
    }

    fn lead(&mut self, stream: &StreamName, epoch: u64, from: BootTime, until: BootTime) {
        let wait_ms = from.since(self.clock.now()).as_millis();
        let lease = Lease::new(epoch, from, until);
        if let Some(part) = self.streams.get_mut(stream) {
            part.publisher
                .lead(lease, wait_ms, self.elections.session());
        }
    }
}

/// Waits until a stream's lock is to be left to others, or no longer.
async fn yielding(streams: &mut BTreeMap<StreamName, Part>) -> Event {
    let changes = streams.iter_mut().map(|(stream, part)| {
        Box::pin(async move {
            let yielding = part.peers.changed(part.is_yielding).await;
            Event::Stream(stream.clone(), StreamEvent::Yielding(yielding))
        })
    });
    let changes: Vec<_> = changes.collect();
    if changes.is_empty() {
        return std::future::pending().await;
    }
    select_all(changes).await.0
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
    let Some(Order::Stream(stream, order)) = order else {
        return Event::Shutdown;
    };
    let event = match order {
        StreamOrder::Eligible(eligible) => StreamEvent::Eligible(eligible),
        StreamOrder::StepDown(StepDown {
            epoch,
            stay_out,
            until_taken,
            to,
        }) => StreamEvent::StepDown {
            epoch,
            stay_out,
            until_taken,
            to,
        },
    };
    Event::Stream(stream, event)
}
