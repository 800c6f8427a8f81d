//! What the driver and the presence of a node ask of the coordinator. Another
//! kind of coordinator is another variant. Watches of nodes, health and this
//! node's address use the client for Consul directly.

use std::sync::Arc;

use super::lock::{Lock, Looked};
use super::lock_client::LockClient;
use super::noted::{Note, Noted};
use super::publication::Publication;
use super::session_kind::SessionKind;
use super::take::{Take, Taken};

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

    /// The lock, once it has changed beyond this index or some time has passed.
    pub(super) async fn watch(&self, index: u64) -> Option<Lock> {
        match self {
            Self::Consul(client) => client.watch(index).await,
            #[cfg(test)]
            Self::Simulated(world) => world.watch(index).await,
            #[cfg(test)]
            Self::Local(_) => None,
        }
    }

    /// The lock, the epoch and the named successor, each by a consistent read.
    pub(super) async fn look(&self) -> Option<Looked> {
        match self {
            Self::Consul(client) => client.look().await,
            #[cfg(test)]
            Self::Simulated(world) => world.look().await,
            #[cfg(test)]
            Self::Local(_) => None,
        }
    }

    /// Takes the lock together with the next epoch.
    pub(super) async fn take(&self, take: &Take) -> Taken {
        match self {
            Self::Consul(client) => client.take(take).await,
            #[cfg(test)]
            Self::Simulated(world) => world.take(take).await,
            #[cfg(test)]
            Self::Local(_) => Taken::Unknown,
        }
    }

    /// The lock, by a consistent read that ends within one lease.
    pub(super) async fn prove(&self) -> Option<Lock> {
        match self {
            Self::Consul(client) => client.prove().await,
            #[cfg(test)]
            Self::Simulated(world) => world.prove().await,
            #[cfg(test)]
            Self::Local(_) => None,
        }
    }

    /// Names the node that is to take the lock next, if the session still
    /// holds it. If this fails, any node may be next.
    pub(super) async fn name_successor(&self, node: &str, session: &str) {
        match self {
            Self::Consul(client) => client.name_successor(node, session).await,
            #[cfg(test)]
            Self::Simulated(world) => world.name_successor(node, session).await,
            #[cfg(test)]
            Self::Local(_) => {}
        }
    }

    /// Releases the lock with these flags, if the session holds it. It may
    /// take effect after the answer is given up.
    pub(super) async fn release(&self, session: &str, flags: u64) {
        match self {
            Self::Consul(client) => client.release(session, flags).await,
            #[cfg(test)]
            Self::Simulated(world) => world.release(session, flags).await,
            #[cfg(test)]
            Self::Local(_) => {}
        }
    }

    /// The epoch, which may be slightly out of date.
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
    pub(super) async fn history(&self) -> Option<Vec<Noted>> {
        match self {
            Self::Consul(client) => client.history().await,
            #[cfg(test)]
            Self::Simulated(_) | Self::Local(_) => Some(Vec::new()),
        }
    }

    /// Notes a change of the sink if the session holds the lock; false if that must
    /// be tried again.
    pub(super) async fn note(&self, session: &str, note: &Note) -> bool {
        match self {
            Self::Consul(client) => client.note(session, note).await,
            #[cfg(test)]
            Self::Simulated(_) | Self::Local(_) => true,
        }
    }

    /// Writes the document of the active sink if the session holds the lock;
    /// false if there was no answer.
    pub(super) async fn write_active(&self, session: &str, document: &[u8]) -> bool {
        match self {
            Self::Consul(client) => client.write_active(session, document).await,
            #[cfg(test)]
            Self::Simulated(_) => false,
            #[cfg(test)]
            Self::Local(store) => store.write_active(session, document),
        }
    }
}
