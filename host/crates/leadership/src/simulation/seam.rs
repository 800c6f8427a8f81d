//! What the driver of a simulated node works with in place of a coordinator, a
//! disk and a clock. All of it ends in a [`Port`], which the world empties.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use super::question::{Answer, Question};
use crate::assistance::Assistance;
use crate::command::Release;
use crate::lock::{Lock, Looked};
use crate::loss::Loss;
use crate::session_kind::SessionKind;
use crate::stream_name::StreamName;
use crate::take::{Take, Taken};
use crate::watching::{Seen, Watching};
use sluice_types::clock::BootTime;
use sluice_types::stream::DEFAULT_STREAM;

/// What a driver has done since the world last looked.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) calls: Vec<(Question, oneshot::Sender<Answer>)>,
    pub(super) sleeps: Vec<(Duration, oneshot::Sender<()>)>,
    pub(super) writes: Vec<(DiskWrite, oneshot::Sender<()>)>,
    /// Why tenures ended, and the index at which their lock was taken.
    pub(super) losses: Vec<(Loss, u64)>,
    /// Events that the election has taken in.
    pub(super) told: u64,
    /// For the trace, if there is one.
    pub(super) notes: Option<Vec<String>>,
}

/// Something to keep on disk.
#[derive(Clone, Debug)]
pub(super) enum DiskWrite {
    Epoch(u64),
    AddSession(String),
    RemoveSession(String),
}

/// What is on a node's disk; it outlives the process.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) epoch: u64,
    pub(super) sessions: BTreeSet<String>,
}

impl Disk {
    pub(super) fn write(&mut self, write: DiskWrite) {
        match write {
            DiskWrite::Epoch(epoch) => self.epoch = self.epoch.max(epoch),
            DiskWrite::AddSession(id) => drop(self.sessions.insert(id)),
            DiskWrite::RemoveSession(id) => drop(self.sessions.remove(&id)),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    reading: BootTime,
    /// How likely it is that an answer is repeated.
    echo_chance: f64,
    /// Whether a session is ended once only: a duty that is left out.
    ends_once: bool,
    disk: Disk,
    outbox: Outbox,
}

/// Between a node's driver and the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Port(Arc<Mutex<State>>);

impl Port {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What the node's clock shows from now on.
    pub(super) fn set_clock(&self, reading: BootTime) {
        self.state().reading = reading;
    }

    pub(super) fn set_echo_chance(&self, chance: f64) {
        self.state().echo_chance = chance;
    }

    pub(super) fn echo_chance(&self) -> f64 {
        self.state().echo_chance
    }

    pub(super) fn end_once(&self) {
        self.state().ends_once = true;
    }

    /// What the driver has done since this was last called.
    pub(super) fn empty(&self) -> Outbox {
        let outbox = &mut self.state().outbox;
        let notes = outbox.notes.as_ref().map(|_| Vec::new());
        let fresh = Outbox {
            notes,
            ..Outbox::default()
        };
        std::mem::replace(outbox, fresh)
    }

    /// Keeps notes from now on.
    pub(super) fn trace(&self) {
        self.state().outbox.notes = Some(Vec::new());
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.state().outbox.notes {
            notes.push(line());
        }
    }

    pub(super) fn outbox<T>(&self, change: impl FnOnce(&mut Outbox) -> T) -> T {
        change(&mut self.state().outbox)
    }

    pub(super) fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        look(&mut self.state().disk)
    }

    pub(super) fn now(&self) -> BootTime {
        self.state().reading
    }

    /// Waits for this long by the node's clock.
    pub(super) async fn sleep(&self, duration: Duration) {
        let (wake, woken) = oneshot::channel();
        self.outbox(|outbox| outbox.sleeps.push((duration, wake)));
        if woken.await.is_err() {
            std::future::pending().await
        }
    }

    async fn ask(&self, question: Question) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.outbox(|outbox| outbox.calls.push((question, reply)));
        answer.await.ok()
    }

    async fn write(&self, write: DiskWrite) {
        let (done, written) = oneshot::channel();
        self.outbox(|outbox| outbox.writes.push((write, done)));
        drop(written.await);
    }
}

/// A node's clock.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedClock(pub(super) Port);

impl SimulatedClock {
    pub(crate) fn now(&self) -> BootTime {
        self.0.now()
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// A node's disk.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk(pub(super) Port);

impl SimulatedDisk {
    pub(crate) fn highest_epoch(&self) -> u64 {
        self.0.disk(|disk| disk.epoch)
    }

    pub(crate) fn earlier_sessions(&self) -> Vec<String> {
        self.0.disk(|disk| disk.sessions.iter().cloned().collect())
    }

    pub(crate) async fn remember_epoch(&self, epoch: u64) {
        self.0.write(DiskWrite::Epoch(epoch)).await;
    }

    pub(crate) async fn add_session(&self, id: String) {
        self.0.write(DiskWrite::AddSession(id)).await;
    }

    pub(crate) async fn remove_session(&self, id: String) {
        self.0.write(DiskWrite::RemoveSession(id)).await;
    }
}

/// A node's way to the other nodes.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedAllies(pub(super) Port);

impl SimulatedAllies {
    pub(crate) async fn ask(&self, assistance: &Assistance) -> bool {
        match self.0.ask(Question::Assist(assistance.clone())).await {
            Some(Answer::Assisted(is_done)) => is_done,
            None => false,
            other => panic!("{other:?}"),
        }
    }
}

/// A node's way to the coordinator.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedCoordination(pub(super) Port);

impl SimulatedCoordination {
    pub(crate) async fn open_session(&self, kind: SessionKind) -> Option<String> {
        assert_eq!(kind, SessionKind::Lock, "only the driver is simulated");
        match self.0.ask(Question::OpenSession).await? {
            Answer::Session(id) => Some(id),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn keep_alive(&self, session: &str) -> Option<bool> {
        match self.0.ask(Question::KeepAlive(session.to_owned())).await? {
            Answer::IsAlive(is_alive) => Some(is_alive),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn end_session(&self, session: &str) -> bool {
        let question = Question::EndSession(session.to_owned());
        let is_answered = self.0.ask(question).await.is_some();
        is_answered || self.0.state().ends_once
    }

    pub(crate) async fn watch(&self, watching: Watching, index: u64) -> Option<Seen> {
        assert_eq!(watching, Watching::Default, "there is one stream");
        let lock = self.lock(Question::Watch(index)).await?;
        let key = lock.key.map(|key| (DEFAULT_STREAM.into(), key));
        Some(Seen {
            index: lock.index,
            keys: key.into_iter().collect(),
        })
    }

    pub(crate) async fn prove(&self, streams: &[StreamName]) -> Vec<Option<Lock>> {
        assert_eq!(streams, [StreamName::from(DEFAULT_STREAM)]);
        vec![self.lock(Question::Prove).await]
    }

    async fn lock(&self, question: Question) -> Option<Lock> {
        match self.0.ask(question).await? {
            Answer::Lock(lock) => Some(lock),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn look(&self, _: &str) -> Option<Looked> {
        match self.0.ask(Question::Look).await? {
            Answer::Looked(looked) => Some(looked),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn take(&self, _: &str, take: &Take) -> Taken {
        match self.0.ask(Question::Take(take.clone())).await {
            Some(Answer::Taken(taken)) => taken,
            None => Taken::Unknown,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn release(&self, _: &str, release: &Release) -> bool {
        let question = Question::Release(release.clone());
        self.0.ask(question).await.is_some()
    }

    pub(crate) async fn read_epoch(&self) -> Option<u64> {
        match self.0.ask(Question::ReadEpoch).await? {
            Answer::Epoch(epoch) => Some(epoch),
            other => panic!("{other:?}"),
        }
    }
}
