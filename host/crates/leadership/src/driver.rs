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
use super::entrance::Entrance;
use super::epoch_reads::EpochReads;
use super::event::{Event, StreamEvent};
use super::heartbeat::Heartbeat;
use super::node_disk::NodeDisk;
use super::order::{Order, StepDown, StreamOrder};
use super::part::Part;
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
    /// Lets more streams in; `None` if there is only one.
    pub(super) entrance: Option<Entrance>,
}

/// What the driver has to do next.
enum Next {
    Order(Order),
    Event(Event),
}

/// Runs one node's part in the elections.
pub(super) struct Driver {
    elections: Elections,
    calls: Calls,
    streams: BTreeMap<StreamName, Part>,
    view: watch::Sender<View>,
    entrance: Option<Entrance>,
    epoch_reads: EpochReads,
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
            entrance,
        } = tools;
        let sessions = Sessions::new(coordination.clone(), disk.clone(), clock.clone());
        Self {
            elections: Elections::new(settings, disk.highest_epoch()),
            calls: Calls::new(coordination.clone(), sessions, disk, clock.clone(), allies),
            streams: BTreeMap::new(),
            view,
            entrance,
            epoch_reads: EpochReads::default(),
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
    /// has not answered for too long after it. Carries out the `early` orders first.
    pub(super) async fn run(mut self, early: Vec<Order>, orders: mpsc::Receiver<Order>) {
        self.calls.end_earlier_sessions();
        for order in early {
            let event = self.ordered(order);
            self.take_in(event);
        }
        let mut orders = Some(orders);
        let mut leave_by = None;
        loop {
            self.heartbeat.beat();
            let event = match self.next(&mut orders).await {
                Next::Event(event) => event,
                Next::Order(order) => self.ordered(order),
            };
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

    async fn next(&mut self, orders: &mut Option<mpsc::Receiver<Order>>) -> Next {
        let now = self.clock.now();
        let until_due = self.elections.wake().map(|wake| wake.since(now));
        let wait = until_due.map_or(BEAT_INTERVAL, |wait| wait.min(BEAT_INTERVAL));
        tokio::select! {
            biased;
            order = next_order(orders) => Next::Order(order.unwrap_or(Order::Shutdown)),
            event = self.calls.next() => Next::Event(event),
            event = yielding(&mut self.streams) => Next::Event(event),
            () = self.clock.sleep(wait) => Next::Event(Event::Tick),
        }
    }

    /// The event that an order is.
    fn ordered(&mut self, order: Order) -> Event {
        match order {
            Order::Stream(stream, order) => Event::Stream(stream, event_of(order)),
            Order::Join(joining) => {
                if let Some(entrance) = &self.entrance {
                    let (stream, part) = entrance.enter(*joining);
                    self.join(stream, part, false);
                }
                Event::Tick
            }
            Order::Leave(stream) => Event::Leave(stream),
            Order::Shutdown => Event::Shutdown,
        }
    }

    /// Passes an event to the elections, after the highest epoch that other nodes
    /// know. Returns whether the elections are finished.
    fn take_in_with_epochs(&mut self, event: Event) -> bool {
        let known = self.known_epoch();
        if known > self.elections.epoch() && self.take_in(Event::EpochKnown(known)) {
            return true;
        }
        // It may be of another stream, or of a state that the coordinator has lost.
        if known > self.epoch_reads.known && self.elections.leads_below(known) {
            self.read_epoch();
        }
        if matches!(event, Event::EpochSeen { .. }) && self.epoch_reads.ended() {
            self.read_epoch();
        }
        self.take_in(event)
    }

    /// The highest epoch that other nodes know.
    fn known_epoch(&self) -> u64 {
        let known = self.streams.values().map(|part| part.peers.highest_epoch());
        known.max().unwrap_or_default()
    }

    /// Reads the counter of epochs, once more if it is being read.
    fn read_epoch(&mut self) {
        let known = self.known_epoch();
        if self.epoch_reads.may_begin(known) {
            self.calls.read_epoch(known);
        }
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
        let led = self.elections.led();
        let led = led.map(|(stream, epoch)| (stream.clone(), epoch));
        let view = View {
            session: self.elections.session().is_some(),
            epoch: self.elections.epoch(),
            releasing: self.elections.is_releasing(),
            leads: Arc::new(led.collect()),
        };
        self.view
            .send_if_modified(|current| std::mem::replace(current, view.clone()) != view);
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
            Command::Left(stream) => self.left(&stream),
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
                self.read_epoch();
            }
            StreamCommand::Look => self.calls.look(stream),
            StreamCommand::Take { sent, take } => self.calls.take(stream, sent, take),
            StreamCommand::Release(release) => self.calls.release(stream, release),
        }
    }

    fn left(&mut self, stream: &StreamName) {
        self.streams.remove(stream);
        if let Some(entrance) = &self.entrance {
            entrance.left(stream);
        }
        tracing::info!(stream = &**stream, "left the election of the stream");
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

fn event_of(order: StreamOrder) -> StreamEvent {
    match order {
        StreamOrder::Eligible(eligible) => StreamEvent::Eligible(eligible),
        StreamOrder::Hesitate(hesitate) => StreamEvent::Hesitating(hesitate),
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
    }
}
