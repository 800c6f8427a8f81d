//! Carries out what the election commands, and tells it what came of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, OnceCell, mpsc, watch};
use tokio::task::JoinSet;

use super::active_key::Tenure;
use super::control::{Order, Role, StepDown, View};
use super::election::Election;
use super::epoch_file::EpochFile;
use super::health::Heartbeat;
use super::loss::Loss;
use super::membership::Service;
use super::peers::Peers;
use super::question::{Command, Epoch, Event, Key, Lock, Looked, NO_EPOCH, Settings, Taken, Wish};
use super::session_file::SessionFile;
use sluice_consul::{
    Behavior, Client, Entry, Error, NewSession, Operation, Read, Session, TxnOutcome, Wait,
};
use sluice_types::clock::BootTime;
use sluice_types::error_chain::chain;
use sluice_types::leader::LeaderAddress;
use sluice_types::lease::Lease;

/// The least that Consul accepts.
pub(super) const SESSION_TTL: Duration = Duration::from_secs(10);
/// How long a watch waits for a change.
///
/// Short, so that a wake-up that was lost on its way hides a free lock no longer.
const WATCH: Duration = Duration::from_secs(2);
const TRANSACTION: Duration = Duration::from_secs(2);
/// An agent that answers slowly answers, and only a node that hears it knows
/// that its session is kept alive.
const RENEWAL: Duration = Duration::from_secs(6);
/// From these it is drawn by how much the epoch goes on where Consul has
/// forgotten it.
const LEAPS: std::ops::Range<u64> = 1_000..1_000_000;
/// How long letting go may take when Consul is slow: a release, then a
/// destroyed session.
const LEAVING: Duration = Duration::from_secs(4);
/// How long a write to the disk is waited for.
const DISK: Duration = Duration::from_secs(1);
/// The loop turns at least so often.
const TURN: Duration = Duration::from_millis(250);

/// What does not change during the life of a node.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) service: Service,
    pub(super) leader_key: String,
    pub(super) epoch_key: String,
    /// Names the node that the last leader wished for, if any.
    pub(super) wish_key: String,
    /// What the leader's key holds while this node leads.
    pub(super) value: Vec<u8>,
    pub(super) lease: Duration,
    pub(super) epoch_file: EpochFile,
    pub(super) sessions: SessionFile,
    /// Held by who writes to the disk.
    pub(super) disk: Arc<Mutex<()>>,
    /// Whether what an earlier life of this node left was cleared away.
    pub(super) begun: OnceCell<()>,
}

pub(super) struct Campaign {
    place: Arc<Place>,
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
        place: Arc<Place>,
        role: watch::Sender<Role>,
        view: watch::Sender<View>,
        tenure: watch::Sender<Option<Tenure>>,
        heartbeat: Arc<Heartbeat>,
        peers: Peers,
    ) -> Self {
        let jitter = Duration::from_millis(rand::random_range(0..100));
        let settings = Settings {
            node: place.service.node.clone(),
            lease: place.lease,
            jitter,
            leap: rand::random_range(LEAPS),
        };
        let election = Election::new(settings, place.epoch_file.highest());
        let answers = JoinSet::new();
        Self {
            place,
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
            let url = &self.place.client.config().url;
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
        let place = Arc::clone(&self.place);
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
            Command::CreateSession => self.ask(async move { place.create_session().await }),
            Command::Renew { session } => self.ask(async move { place.renew(session).await }),
            Command::Destroy { session } => self.ask(async move {
                place.end(&Session(session.clone())).await;
                Event::Destroyed { session }
            }),
            Command::Watch { index } => self.ask(async move { place.watch(index).await }),
            Command::Look => self.ask(async move { place.look().await }),
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
                let taken = place.take(&session, free, epoch, flags).await;
                Event::Took { sent, taken }
            }),
            Command::Prove { epoch, sent } => self.ask(async move {
                let lock = place.prove().await;
                Event::Proved { epoch, sent, lock }
            }),
            Command::Release {
                session,
                flags,
                wish,
            } => self.ask(async move {
                if let Some(wish) = wish {
                    place.wish_for(&wish, &session).await;
                }
                place.release(&session, flags).await
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
                let key = &self.place.leader_key;
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
                key = self.place.leader_key,
                value,
                "the leader's key names no leader"
            );
        }
        // While we do not lead, a lock in our name is of an earlier tenure, or
        // of one that is about to begin: nobody to send clients to.
        let is_own = held.is_some_and(|key| key.value == self.place.value);
        let leader = leader.filter(|leader| !is_own && leader.node != self.place.service.node);
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
        let place = Arc::clone(&self.place);
        self.ask(async move { place.see_epoch().await });
    }
}

/// The keys as they must be when the lock is taken.
#[derive(Clone, Copy, Debug)]
struct Free {
    /// The lock's index; `None`: it is absent.
    expected: Option<u64>,
    /// The epoch's index; 0: it is absent.
    epoch_index: u64,
    /// The wish's index, if there is one.
    wish_index: Option<u64>,
}

/// One question to Consul each, its answer as an event.
impl Place {
    async fn create_session(self: Arc<Self>) -> Event {
        let session = self.service.session(Behavior::Release);
        match self.try_create_session(&session).await {
            Ok(Session(id)) => Event::Session(Some(id)),
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not make a session");
                if error.is_denied() {
                    tracing::error!(
                        error = chain(&error),
                        "Consul's ACL does not let this node make a session or register its service"
                    );
                }
                Event::Session(None)
            }
        }
    }

    pub(super) async fn try_create_session(
        self: &Arc<Self>,
        session: &NewSession<'_>,
    ) -> Result<Session, Error> {
        const ATTEMPTS: u32 = 40;
        // A life of this node before this one may have left a session, which
        // a check that passes again would keep alive.
        let id = self.service.id();
        self.begun
            .get_or_try_init(|| self.client.deregister(&id))
            .await?;
        self.client.register(&self.service.registration()).await?;
        let mut attempt = 0;
        let made = loop {
            match self.client.create_session(session).await {
                // The check is not known to the servers yet, or not passing.
                Err(error) if error.is_check_not_ready() && attempt < ATTEMPTS => attempt += 1,
                result => break result?,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let id = made.0.clone();
        self.write("a session's id", move |place| place.sessions.add(id))
            .await;
        Ok(made)
    }

    async fn renew(&self, session: String) -> Event {
        let session = Session(session);
        let exists = self.client.renew_session(&session, RENEWAL).await;
        let exists = exists
            .inspect_err(|e| tracing::debug!(error = chain(e), "could not renew the session"));
        Event::Renewed {
            session: session.0,
            exists: exists.ok(),
        }
    }

    /// Ends a session. Until Consul has heard it: one that only this node has
    /// forgotten would keep the lock until its TTL is over.
    pub(super) async fn end(self: &Arc<Self>, session: &Session) {
        while let Err(error) = self.client.destroy_session(session).await {
            tracing::debug!(error = chain(&error), "could not end the session");
            if error.is_denied() || error.is_unknown_session() {
                break;
            }
            tokio::time::sleep(TURN).await;
        }
        self.forget(session).await;
    }

    /// The session has ended.
    pub(super) async fn forget(self: &Arc<Self>, Session(id): &Session) {
        let id = id.clone();
        self.write("that a session has ended", move |place| {
            place.sessions.remove(&id)
        })
        .await;
    }

    /// Ends the sessions of earlier lives.
    pub(super) async fn end_earlier(self: Arc<Self>) {
        let earlier = self.sessions.earlier().iter().cloned().map(Session);
        let ends = earlier.map(|session| {
            let place = Arc::clone(&self);
            async move { place.end(&session).await }
        });
        join_all(ends).await;
    }

    async fn watch(&self, index: u64) -> Event {
        let wait = Wait { index, most: WATCH };
        let read = self.client.read(&self.leader_key, Some(wait)).await;
        if let Err(error) = &read {
            tracing::debug!(error = chain(error), "could not watch the lock");
        }
        Event::Watched(read.ok().map(lock))
    }

    async fn look(&self) -> Event {
        let timeout = TRANSACTION;
        let read = |key| self.client.read_consistent(key, timeout);
        let reads = async {
            let (leader, epochs) = tokio::try_join!(read(&self.leader_key), read(&self.epoch_key))?;
            // It is written before the lock is free, so it is read after it.
            Ok::<_, Error>((leader, epochs, read(&self.wish_key).await?))
        };
        match reads.await {
            Ok((leader, epochs, wishes)) => Event::Looked(Some(Looked {
                lock: lock(leader),
                epoch: epoch(epochs.value.as_ref()),
                wish: wishes.value.as_ref().map(wish),
            })),
            Err(error) => {
                tracing::debug!(error = chain(&error), "could not look at the lock");
                Event::Looked(None)
            }
        }
    }

    async fn see_epoch(self: Arc<Self>) -> Event {
        let Ok(read) = self.client.read(&self.epoch_key, None).await else {
            return Event::Tick;
        };
        let epoch = epoch(read.value.as_ref()).value;
        self.remember(epoch).await;
        Event::EpochSeen(epoch)
    }

    async fn take(self: Arc<Self>, session: &str, free: Free, epoch: u64, flags: u64) -> Taken {
        let (key, value) = (self.leader_key.as_str(), self.value.as_slice());
        let decimal = epoch.to_string();
        let mut operations = vec![
            match free.expected {
                Some(index) => Operation::CheckIndex { key, index },
                None => Operation::CheckNotExists { key },
            },
            Operation::Cas {
                key: &self.epoch_key,
                value: decimal.as_bytes(),
                index: free.epoch_index,
            },
            Operation::Lock {
                key,
                value,
                flags,
                session,
            },
        ];
        if let Some(index) = free.wish_index {
            let key = &self.wish_key;
            operations.push(Operation::DeleteCas { key, index });
        }
        match self.client.transact(&operations, TRANSACTION).await {
            Ok(TxnOutcome::Committed { index }) => {
                self.remember(epoch).await;
                Taken::Won {
                    modify_index: index,
                }
            }
            Ok(TxnOutcome::RolledBack(errors)) => {
                tracing::debug!(?errors, "did not get the lock");
                let say = |what: &str| errors.iter().any(|error| error.contains(what));
                if say("invalid session") {
                    Taken::InvalidSession
                } else if say("Permission denied") {
                    tracing::error!(?errors, "Consul's ACL does not let this node take the lock");
                    Taken::Denied
                } else {
                    Taken::Lost
                }
            }
            Err(error) if error.is_invalid_session() => Taken::InvalidSession,
            Err(error) => {
                tracing::warn!(error = chain(&error), "could not take the lock");
                Taken::Unknown
            }
        }
    }

    async fn prove(&self) -> Option<Lock> {
        let read = self
            .client
            .read_consistent(&self.leader_key, self.lease)
            .await;
        if let Err(error) = &read {
            tracing::debug!(
                error = chain(error),
                "could not prove that the lock is held"
            );
        }
        read.ok().map(lock)
    }

    /// Asks the others to leave the lock to this node, while the session
    /// still holds it. Without it anybody may come next.
    async fn wish_for(&self, node: &str, session: &str) {
        let (leader_key, key) = (&self.leader_key, &self.wish_key);
        let operations = [
            Operation::CheckSession {
                key: leader_key,
                session,
            },
            Operation::Set {
                key,
                value: node.as_bytes(),
            },
        ];
        match self.client.transact(&operations, TRANSACTION).await {
            Ok(TxnOutcome::Committed { .. }) => {}
            Ok(TxnOutcome::RolledBack(errors)) => {
                tracing::warn!(key, ?errors, "could not leave the lock to the next node");
            }
            Err(error) => tracing::warn!(
                key,
                error = chain(&error),
                "could not leave the lock to the next node"
            ),
        }
    }

    async fn release(&self, session: &str, flags: u64) -> Event {
        let value = self.value.clone();
        let released = self
            .client
            .release(&self.leader_key, session, flags, value)
            .await;
        if let Err(error) = &released {
            tracing::warn!(error = chain(error), "could not give the lock back");
        }
        Event::Released {
            session: session.to_owned(),
        }
    }

    /// Keeps the epoch on disk. Without it only a Consul that loses its state
    /// can lead us back.
    async fn remember(self: &Arc<Self>, epoch: u64) {
        if epoch > self.epoch_file.highest() {
            self.write("the epoch", move |place| place.epoch_file.raise(epoch))
                .await;
        }
    }

    /// Writes to the disk, away from this thread. A disk that fails or hangs
    /// keeps nobody from leading.
    async fn write<E>(
        self: &Arc<Self>,
        what: &'static str,
        write: impl FnOnce(&Self) -> Result<(), E> + Send + 'static,
    ) where
        E: std::error::Error + Send + 'static,
    {
        let place = Arc::clone(self);
        let disk = Arc::clone(&self.disk);
        let written = async move {
            // A disk that hangs takes one thread, not all that there are.
            let turn = disk.lock_owned().await;
            let writing = move || {
                let _turn = turn;
                write(&place)
            };
            tokio::task::spawn_blocking(writing).await
        };
        let error = match tokio::time::timeout(DISK, written).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => chain(&error),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("it takes longer than {DISK:?}"),
        };
        tracing::error!(error, "could not keep {what} on disk");
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

fn lock(read: Read<Option<Entry>>) -> Lock {
    let key = read.value.map(|entry| Key {
        modify_index: entry.modify_index,
        session: entry.session,
        flags: entry.flags,
        value: entry.value,
    });
    Lock {
        index: read.index,
        key,
    }
}

fn wish(entry: &Entry) -> Wish {
    Wish {
        node: String::from_utf8_lossy(&entry.value).trim().to_owned(),
        modify_index: entry.modify_index,
    }
}

fn epoch(entry: Option<&Entry>) -> Epoch {
    let Some(entry) = entry else {
        return Epoch::default();
    };
    let value = std::str::from_utf8(&entry.value)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    // One that was written by hand is counted over.
    let value = value.filter(|value: &u64| *value < NO_EPOCH);
    Epoch {
        value: value.unwrap_or_default(),
        modify_index: entry.modify_index,
    }
}
