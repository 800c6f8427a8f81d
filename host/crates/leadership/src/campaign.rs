//! Carries out what the election commands, and tells it what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::election::Election;
use super::heartbeat::Heartbeat;
use super::lock::Lock;
use super::lock_client::{Free, LockClient};
use super::loss::Loss;
use super::order::{Order, StepDown};
use super::peers::Peers;
use super::question::{Command, Event, Settings};
use super::role::Role;
use super::tenure::Tenure;
use super::view::View;
use sluice_consul::Session;
use sluice_types::clock::BootTime;
use sluice_types::documents::LeaderAddress;
use sluice_types::lease::Lease;

/// From these it is drawn by how much the epoch goes on where Consul has
/// forgotten it.
const LEAPS: std::ops::Range<u64> = 1_000..1_000_000;
/// How long letting go may take when Consul is slow: a release, then a
/// destroyed session.
const LEAVING: Duration = Duration::from_secs(4);
/// The loop turns at least so often.
const TURN: Duration = Duration::from_millis(250);

pub(super) struct Campaign {
    lock_client: Arc<LockClient>,
    election: Election,
    /// The questions that are under way.
    answers: JoinSet<Event>,
    role: watch::Sender<Role>,
    view: watch::Sender<View>,
    tenure: watch::Sender<Option<Tenure>>,
    lease: Option<Arc<Lease>>,
    /// Who leads by the key.
    leader: Option<LeaderAddress>,
    heartbeat: Arc<Heartbeat>,
    peers: Peers,
    /// Whether another node is better prepared.
    outdone: bool,
    consul_answers: bool,
}

impl Campaign {
    pub(super) fn new(
        lock_client: Arc<LockClient>,
        role: watch::Sender<Role>,
        view: watch::Sender<View>,
        tenure: watch::Sender<Option<Tenure>>,
        heartbeat: Arc<Heartbeat>,
        peers: Peers,
    ) -> Self {
        let jitter = Duration::from_millis(rand::random_range(0..100));
        let settings = Settings {
            node: lock_client.service.node.clone(),
            lease: lock_client.lease,
            jitter,
            leap: rand::random_range(LEAPS),
        };
        let election = Election::new(settings, lock_client.epoch_file.highest());
        let answers = JoinSet::new();
        Self {
            lock_client,
            election,
            answers,
            role,
            view,
            tenure,
            lease: None,
            leader: None,
            heartbeat,
            peers,
            outdone: false,
            consul_answers: true,
        }
    }

    /// Says, before it runs, whether this node could lead, and whether another
    /// could better.
    pub(super) fn able(&mut self, able: bool) {
        for event in [
            Event::Outdone(self.peers.is_outdone()),
            Event::Eligible(able),
        ] {
            self.note(&event);
            for command in self.election.handle(BootTime::now(), event) {
                self.carry_out(command);
            }
        }
    }

    /// Runs until it was told to shut down and has let go of everything, or
    /// Consul did not let it for too long.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut orders_open = true;
        let mut leave_by = None;
        loop {
            self.heartbeat.beat();
            let now = BootTime::now();
            let wait = self
                .election
                .wake()
                .map_or(TURN, |wake| wake.since(now).min(TURN));
            let event = tokio::select! {
                biased;
                order = orders.recv(), if orders_open => match order {
                    Some(Order::Eligible(able)) => Event::Eligible(able),
                    Some(Order::StepDown(order)) => step_down(order),
                    Some(Order::Shutdown) => Event::Shutdown,
                    None => {
                        orders_open = false;
                        Event::Shutdown
                    }
                },
                Some(answer) = self.answers.join_next() => match answer {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::error!(%error, "a call to Consul ended unexpectedly");
                        Event::Tick
                    }
                },
                outdone = self.peers.changed(self.outdone) => Event::Outdone(outdone),
                () = tokio::time::sleep(wait) => Event::Tick,
            };
            self.note(&event);
            if matches!(event, Event::Shutdown) {
                leave_by.get_or_insert(BootTime::now() + LEAVING);
            }
            // Others may have led in a life of Consul that it has forgotten.
            let seen = self.peers.highest_epoch();
            let is_news = seen > self.election.epoch();
            let seen = is_news.then_some(Event::EpochSeen(seen));
            for event in seen.into_iter().chain([event]) {
                for command in self.election.handle(BootTime::now(), event) {
                    if command == Command::Finished {
                        return;
                    }
                    self.carry_out(command);
                }
            }
            self.publish_view();
            if leave_by.is_some_and(|by| BootTime::now() >= by) {
                tracing::warn!("Consul did not answer while letting go of the lock");
                return;
            }
        }
    }

    /// Says once when Consul stops to answer, and once when it is back; and
    /// when the lock is left to others.
    fn note(&mut self, event: &Event) {
        let answers = match event {
            Event::Watched(lock) => lock.is_some(),
            Event::Outdone(outdone) => {
                self.outdone = *outdone;
                if *outdone && self.lease.is_none() {
                    tracing::info!(
                        "leaving the lock to others: a node lives that has the sink prepared \
                         which is asked for, and this one has not"
                    );
                }
                return;
            }
            _ => return,
        };
        if answers != self.consul_answers {
            self.consul_answers = answers;
            let url = &self.lock_client.client.config().url;
            if answers {
                tracing::info!(consul = url, "Consul answers again");
            } else {
                tracing::warn!(consul = url, "Consul does not answer; trying on");
            }
        }
    }

    fn publish_view(&self) {
        let view = View {
            session: self.election.session().is_some(),
            epoch: self.election.epoch(),
            releasing: self.election.is_letting_go(),
        };
        self.view
            .send_if_modified(|current| std::mem::replace(current, view) != view);
    }

    fn carry_out(&mut self, command: Command) {
        let lock_client = Arc::clone(&self.lock_client);
        match command {
            Command::Lead { epoch, from, until } => self.lead(epoch, from, until),
            Command::Extend { until } => {
                if let Some(lease) = &self.lease {
                    lease.extend(until);
                }
            }
            Command::Lose { loss } => self.lose(&loss),
            Command::Show(lock) => self.show(&lock),
            Command::EpochWasBehind { consul, known } => tracing::warn!(
                consul,
                known,
                "Consul has lost its state or the epoch's key was changed by hand; \
                 continuing above the highest epoch known"
            ),
            Command::CreateSession => self.ask(async move { lock_client.create_session().await }),
            Command::Renew { session } => self.ask(async move { lock_client.renew(session).await }),
            Command::Destroy { session } => self.ask(async move {
                lock_client.end(&Session(session.clone())).await;
                Event::Destroyed { session }
            }),
            Command::Watch { index } => self.ask(async move { lock_client.watch(index).await }),
            Command::Look => self.ask(async move { lock_client.look().await }),
            Command::Take {
                sent,
                session,
                expected,
                epoch,
                epoch_index,
                wish_index,
                flags,
            } => self.ask(async move {
                let free = Free {
                    expected,
                    epoch_index,
                    wish_index,
                };
                let taken = lock_client.take(&session, free, epoch, flags).await;
                Event::Took { sent, taken }
            }),
            Command::Prove { epoch, sent } => self.ask(async move {
                let lock = lock_client.prove().await;
                Event::Proved { epoch, sent, lock }
            }),
            Command::Release {
                session,
                flags,
                wish,
            } => self.ask(async move {
                if let Some(wish) = wish {
                    lock_client.wish_for(&wish, &session).await;
                }
                lock_client.release(&session, flags).await
            }),
            Command::Finished => {}
        }
    }

    fn ask(&mut self, question: impl Future<Output = Event> + Send + 'static) {
        self.answers.spawn(question);
    }

    fn lead(&mut self, epoch: u64, from: BootTime, until: BootTime) {
        let wait_ms = from.since(BootTime::now()).as_millis();
        tracing::info!(epoch, wait_ms, "this node leads");
        let lease = Arc::new(Lease::new(epoch, from, until));
        self.lease = Some(Arc::clone(&lease));
        let session = self.election.session().map(str::to_owned);
        self.tenure
            .send_replace(session.map(|session| Tenure { epoch, session }));
        self.role.send_replace(Role::Leader(lease));
    }

    fn lose(&mut self, loss: &Loss) {
        if let Some(lease) = self.lease.take() {
            // First of all: from here on nothing is written or acknowledged.
            lease.revoke();
            let epoch = lease.epoch();
            if loss.is_from_outside() {
                let key = &self.lock_client.keys.leader;
                tracing::warn!(
                    epoch,
                    key,
                    found = %loss,
                    "this node leads no more: it has stopped acknowledging, and campaigns anew"
                );
            } else {
                tracing::info!(epoch, reason = %loss, "this node leads no more");
            }
        }
        self.tenure.send_replace(None);
        self.role.send_replace(Role::Follower {
            leader: self.leader.clone(),
        });
    }

    fn show(&mut self, lock: &Lock) {
        let held = lock.key.as_ref().filter(|key| key.session.is_some());
        let leader = held.and_then(|key| LeaderAddress::from_value(&key.value));
        if let Some(key) = held
            && leader.is_none()
        {
            let value = String::from_utf8_lossy(&key.value).into_owned();
            tracing::warn!(
                key = self.lock_client.keys.leader,
                value,
                "the leader's key names no leader"
            );
        }
        // While we do not lead, a lock in our name is of an earlier tenure, or
        // of one that is about to begin: nobody to send clients to.
        let is_own = held.is_some_and(|key| key.value == self.lock_client.value);
        let leader =
            leader.filter(|leader| !is_own && leader.node != self.lock_client.service.node);
        if self.lease.is_none() && leader != self.leader {
            match &leader {
                Some(leader) => {
                    tracing::info!(node = leader.node, address = leader.address, "following")
                }
                None => tracing::info!("no leader at the moment"),
            }
        }
        self.leader.clone_from(&leader);
        if self.lease.is_none() {
            self.role.send_replace(Role::Follower { leader });
        }
        let lock_client = Arc::clone(&self.lock_client);
        self.ask(async move { lock_client.see_epoch().await });
    }
}

fn step_down(order: StepDown) -> Event {
    let StepDown {
        epoch,
        stay_out,
        until_taken,
        to,
    } = order;
    Event::StepDown {
        epoch,
        stay_out,
        until_taken,
        to,
    }
}
