//! The calls to the coordinator that are under way; each ends as an event.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use super::assistance::Allies;
use super::clock::Clock;
use super::command::Release;
use super::coordination::Coordination;
use super::event::{Event, Proof, StreamEvent};
use super::node_disk::NodeDisk;
use super::session_kind::SessionKind;
use super::sessions::Sessions;
use super::stream_name::StreamName;
use super::take::{Take, Taken};
use super::watching::Watching;
use sluice_types::clock::BootTime;

/// How long a release may wait for an answer before other nodes are asked to do
/// it as well.
const PATIENCE: Duration = Duration::from_millis(250);

/// A call that is under way.
pub(super) type Call = Pin<Box<dyn Future<Output = Event> + Send>>;

/// They make progress only while [`Calls::next`] is awaited.
pub(super) struct Calls {
    coordination: Coordination,
    sessions: Sessions,
    disk: NodeDisk,
    clock: Clock,
    allies: Allies,
    under_way: FuturesUnordered<Call>,
}

impl Calls {
    pub(super) fn new(
        coordination: Coordination,
        sessions: Sessions,
        disk: NodeDisk,
        clock: Clock,
        allies: Allies,
    ) -> Self {
        Self {
            coordination,
            sessions,
            disk,
            clock,
            allies,
            under_way: FuturesUnordered::new(),
        }
    }

    /// The event of the next call that ends; waits forever if there is none.
    pub(super) async fn next(&mut self) -> Event {
        match self.under_way.next().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Starts a call. A panic in it is logged, and its answer never comes.
    pub(super) fn start(&mut self, call: impl Future<Output = Event> + Send + 'static) {
        let call = AssertUnwindSafe(call).catch_unwind().map(|ended| {
            ended.unwrap_or_else(|_| {
                tracing::error!("a call to the coordinator panicked");
                Event::Tick
            })
        });
        self.under_way.push(Box::pin(call));
    }

    pub(super) fn create_session(&mut self) {
        let sessions = self.sessions.clone();
        self.start(async move { Event::Session(sessions.open(SessionKind::Lock).await) });
    }

    pub(super) fn renew(&mut self, session: String) {
        let coordination = self.coordination.clone();
        self.start(async move {
            let exists = coordination.keep_alive(&session, SessionKind::Lock).await;
            Event::Renewed { session, exists }
        });
    }

    pub(super) fn destroy(&mut self, session: String) {
        let sessions = self.sessions.clone();
        self.start(async move {
            sessions.end(session.clone()).await;
            Event::Destroyed { session }
        });
    }

    /// Ends the sessions of earlier processes; the election need not know.
    pub(super) fn end_earlier_sessions(&mut self) {
        let sessions = self.sessions.clone();
        self.start(async move {
            sessions.end_earlier().await;
            Event::Tick
        });
    }

    pub(super) fn watch(&mut self, watching: Watching, index: u64) {
        let coordination = self.coordination.clone();
        self.start(async move {
            let seen = coordination.watch(watching, index).await;
            Event::Watched(watching, seen)
        });
    }

    pub(super) fn look(&mut self, stream: StreamName) {
        let coordination = self.coordination.clone();
        self.start(async move {
            let looked = coordination.look(&stream).await;
            Event::Stream(stream, StreamEvent::Looked(looked))
        });
    }

    /// The epoch of an attempt that succeeded is on disk before the event.
    pub(super) fn take(&mut self, stream: StreamName, sent: BootTime, take: Take) {
        let (coordination, disk) = (self.coordination.clone(), self.disk.clone());
        self.start(async move {
            let taken = coordination.take(&stream, &take).await;
            if matches!(taken, Taken::Won { .. }) {
                disk.remember_epoch(take.epoch).await;
            }
            Event::Stream(stream, StreamEvent::Took { sent, taken })
        });
    }

    pub(super) fn prove(&mut self, sent: BootTime, tenures: Vec<(StreamName, u64)>) {
        let coordination = self.coordination.clone();
        self.start(async move {
            let streams: Vec<_> = tenures.iter().map(|(stream, _)| stream.clone()).collect();
            let locks = coordination.prove(&streams).await;
            let proofs = tenures.into_iter().zip(locks);
            let proofs = proofs.map(|((stream, epoch), lock)| Proof {
                stream,
                epoch,
                lock,
            });
            let proofs = proofs.collect();
            Event::Proved { sent, proofs }
        });
    }

    /// The other nodes are asked to do it if there is no answer soon.
    pub(super) fn release(&mut self, stream: StreamName, release: Release) {
        let (coordination, clock) = (self.coordination.clone(), self.clock.clone());
        let allies = self.allies.clone();
        self.start(async move {
            let own = coordination.release(&stream, &release);
            let by_others = async {
                clock.sleep(PATIENCE).await;
                allies.release(&stream, &release).await
            };
            let is_answered = any(own, by_others).await;
            let released = StreamEvent::Released {
                session: release.session,
                acquisition: release.acquisition,
                is_answered,
            };
            Event::Stream(stream, released)
        });
    }

    pub(super) fn ask_others(&mut self, stream: StreamName, session: String, acquisition: u64) {
        let allies = self.allies.clone();
        self.start(async move {
            let is_seen = allies.see(&stream, &session, acquisition).await;
            Event::SeenByOthers {
                acquisition,
                is_seen,
            }
        });
    }

    /// Reads the counter of epochs, and remembers it. `known` is what other nodes know
    /// of it.
    pub(super) fn read_epoch(&mut self, known: u64) {
        let (coordination, disk) = (self.coordination.clone(), self.disk.clone());
        self.start(async move {
            let epoch = coordination.read_epoch().await;
            if let Some(epoch) = epoch {
                disk.remember_epoch(epoch).await;
            }
            Event::EpochSeen { epoch, known }
        });
    }
}

/// Whether one of them ends with `true`; does not wait for the other then.
async fn any(one: impl Future<Output = bool>, other: impl Future<Output = bool>) -> bool {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    tokio::select! {
        is_true = &mut one => is_true || other.await,
        is_true = &mut other => is_true || one.await,
    }
}
