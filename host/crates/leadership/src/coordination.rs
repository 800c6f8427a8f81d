//! What the driver and the presence of a node ask of the coordinator. Another
//! kind of coordinator is another variant. Watches of nodes, health and this
//! node's address use the client for Consul directly.

use std::sync::Arc;

use super::command::Release;
use super::lock::{Lock, Looked};
use super::lock_client::LockClient;
use super::noted::{Note, Noted};
use super::publication::Publication;
use super::session_kind::SessionKind;
use super::stream_name::StreamName;
use super::take::{Take, Taken};
use super::watching::{Seen, Watching};

/// The interface of the election and the presence to a coordinator. `None`
/// means that no answer came in time: the request may have taken effect or not.
#[derive(Clone, Debug)]
pub(super) enum Coordination {
    Consul(Arc<LockClient>),
    #[cfg(test)]
    Simulated(crate::simulation::SimulatedCoordination),
    #[cfg(test)]
    Local(Arc<crate::local_coordinator::LocalCoordinator>),
}

impl Coordination {
    /// Where the coordinator is, for the log.
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Consul(client) => &client.client.config().url,
            #[cfg(test)]
            Self::Simulated(_) => "a simulated world",
            #[cfg(test)]
            Self::Local(_) => "a store in this process",
        }
    }

    /// Opens a session that is bound to the health of this node, and returns
    /// its id.
    pub(super) async fn open_session(&self, kind: SessionKind) -> Option<String> {
        match self {
            Self::Consul(client) => client.open_session(kind).await,
            #[cfg(test)]
            Self::Simulated(world) => world.open_session(kind).await,
            #[cfg(test)]
            Self::Local(store) => store.open_session(kind),
        }
    }

    /// Renews a session. Returns whether it exists, which may be out of date.
    pub(super) async fn keep_alive(&self, session: &str, kind: SessionKind) -> Option<bool> {
        match self {
            Self::Consul(client) => client.keep_alive(session, kind).await,
            #[cfg(test)]
            Self::Simulated(world) => world.keep_alive(session).await,
            #[cfg(test)]
            Self::Local(store) => store.keep_alive(session),
        }
    }

    /// Tries once to end a session. Returns whether trying again is pointless.
    pub(super) async fn end_session(&self, session: &str) -> bool {
        match self {
            Self::Consul(client) => client.end_session(session).await,
            #[cfg(test)]
            Self::Simulated(world) => world.end_session(session).await,
            #[cfg(test)]
            Self::Local(store) => store.end_session(session),
        }
    }

    /// The locks, once one has changed beyond this index or some time has passed.
    pub(super) async fn watch(&self, watching: Watching, index: u64) -> Option<Seen> {
        match self {
            Self::Consul(client) => client.watch(watching, index).await,
            #[cfg(test)]
            Self::Simulated(world) => world.watch(watching, index).await,
            #[cfg(test)]
            Self::Local(_) => None,
        }
    }

    /// The lock of a stream, the epoch and the named successor, each by a
    /// consistent read.
    pub(super) async fn look(&self, stream: &str) -> Option<Looked> {
        match self {
            Self::Consul(client) => client.look(stream).await,
            #[cfg(test)]
            Self::Simulated(world) => world.look(stream).await,
            #[cfg(test)]
            Self::Local(_) => None,
        }
    }

    /// Takes the lock of a stream together with the next epoch.
    pub(super) async fn take(&self, stream: &str, take: &Take) -> Taken {
        match self {
            Self::Consul(client) => client.take(stream, take).await,
            #[cfg(test)]
            Self::Simulated(world) => world.take(stream, take).await,
            #[cfg(test)]
            Self::Local(_) => Taken::Unknown,
        }
    }

    /// The locks of these streams, in their order, by one consistent read that
    /// ends within one lease. `None` in place of a lock that was not read.
    pub(super) async fn prove(&self, streams: &[StreamName]) -> Vec<Option<Lock>> {
        match self {
            Self::Consul(client) => client.prove(streams).await,
            #[cfg(test)]
            Self::Simulated(world) => world.prove(streams).await,
            #[cfg(test)]
            Self::Local(_) => vec![None; streams.len()],
        }
    }

    /// Releases one acquisition of a stream's lock, and names the node that is to
    /// take it next, if one is named. Returns whether this was answered: without
    /// an answer it may take effect later.
    pub(super) async fn release(&self, stream: &str, release: &Release) -> bool {
        match self {
            Self::Consul(client) => client.release(stream, release).await,
            #[cfg(test)]
            Self::Simulated(world) => world.release(stream, release).await,
            #[cfg(test)]
            Self::Local(_) => false,
        }
    }

    /// The counter of epochs, by a consistent read.
    pub(super) async fn read_epoch(&self) -> Option<u64> {
        match self {
            Self::Consul(client) => client.read_epoch().await,
            #[cfg(test)]
            Self::Simulated(world) => world.read_epoch().await,
            #[cfg(test)]
            Self::Local(_) => None,
        }
    }

    /// Registers this node, unless it is registered as it is now.
    pub(super) async fn keep_registered(&self) {
        match self {
            Self::Consul(client) => client.keep_registered().await,
            #[cfg(test)]
            Self::Simulated(_) => {}
            #[cfg(test)]
            Self::Local(store) => store.keep_registered(),
        }
    }

    /// Removes the registration of this node.
    pub(super) async fn deregister(&self) {
        match self {
            Self::Consul(client) => client.deregister().await,
            #[cfg(test)]
            Self::Simulated(_) => {}
            #[cfg(test)]
            Self::Local(store) => store.deregister(),
        }
    }

    /// Writes this node's document under a session of its presence.
    pub(super) async fn publish(&self, session: &str, document: &str) -> Publication {
        match self {
            Self::Consul(client) => client.publish(session, document).await,
            #[cfg(test)]
            Self::Simulated(_) => Publication::Unknown,
            #[cfg(test)]
            Self::Local(store) => store.publish(session, document),
        }
    }

    /// The changes of the sink that are noted, the oldest first; `None` if there was
    /// no answer.
    pub(super) async fn history(&self, stream: &str) -> Option<Vec<Noted>> {
        match self {
            Self::Consul(client) => client.history(stream).await,
            #[cfg(test)]
            Self::Simulated(_) | Self::Local(_) => Some(Vec::new()),
        }
    }

    /// Notes a change of the sink if the session holds the lock; false if that must
    /// be tried again.
    pub(super) async fn note(&self, stream: &str, session: &str, note: &Note) -> bool {
        match self {
            Self::Consul(client) => client.note(stream, session, note).await,
            #[cfg(test)]
            Self::Simulated(_) | Self::Local(_) => true,
        }
    }

    /// Writes the document of the active sink if the session holds the lock;
    /// false if there was no answer.
    pub(super) async fn write_active(&self, stream: &str, session: &str, document: &[u8]) -> bool {
        match self {
            Self::Consul(client) => client.write_active(stream, session, document).await,
            #[cfg(test)]
            Self::Simulated(_) => false,
            #[cfg(test)]
            Self::Local(store) => store.write_active(session, document),
        }
    }
}
