//! What the driver asks of the coordinator. Another kind of coordinator is
//! another variant.

use std::sync::Arc;

use super::lock::{Lock, Looked};
use super::lock_client::LockClient;
use super::session_kind::SessionKind;
use super::take::{Take, Taken};

/// The one seam between the election's driver and a coordinator. `None` is no
/// answer in time: what was asked for may have happened or not.
#[derive(Clone, Debug)]
pub(super) enum Coordination {
    Consul(Arc<LockClient>),
    #[cfg(test)]
    Simulated(crate::simulation::SimulatedCoordination),
}

impl Coordination {
    /// Where the coordinator is, for the log.
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Consul(client) => &client.client.config().url,
            #[cfg(test)]
            Self::Simulated(_) => "a simulated world",
        }
    }

    /// Opens a session that is bound to the health of this node: its id.
    pub(super) async fn open_session(&self, kind: SessionKind) -> Option<String> {
        match self {
            Self::Consul(client) => client.open_session(kind).await,
            #[cfg(test)]
            Self::Simulated(world) => world.open_session(kind).await,
        }
    }

    /// Renews a session; whether it exists, which may be told from the past.
    pub(super) async fn keep_alive(&self, session: &str) -> Option<bool> {
        match self {
            Self::Consul(client) => client.keep_alive(session).await,
            #[cfg(test)]
            Self::Simulated(world) => world.keep_alive(session).await,
        }
    }

    /// Ends a session once; whether there is no point in trying again.
    pub(super) async fn end_session(&self, session: &str) -> bool {
        match self {
            Self::Consul(client) => client.end_session(session).await,
            #[cfg(test)]
            Self::Simulated(world) => world.end_session(session).await,
        }
    }

    /// The lock, once it has changed beyond this index or some time is over.
    pub(super) async fn watch(&self, index: u64) -> Option<Lock> {
        match self {
            Self::Consul(client) => client.watch(index).await,
            #[cfg(test)]
            Self::Simulated(world) => world.watch(index).await,
        }
    }

    /// The lock, the epoch and the named successor, each by a consistent read.
    pub(super) async fn look(&self) -> Option<Looked> {
        match self {
            Self::Consul(client) => client.look().await,
            #[cfg(test)]
            Self::Simulated(world) => world.look().await,
        }
    }

    /// Takes the lock together with the next epoch.
    pub(super) async fn take(&self, take: &Take) -> Taken {
        match self {
            Self::Consul(client) => client.take(take).await,
            #[cfg(test)]
            Self::Simulated(world) => world.take(take).await,
        }
    }

    /// The lock, by a consistent read that is over within one lease.
    pub(super) async fn prove(&self) -> Option<Lock> {
        match self {
            Self::Consul(client) => client.prove().await,
            #[cfg(test)]
            Self::Simulated(world) => world.prove().await,
        }
    }

    /// Names the node that is to take the lock next, if the session still
    /// holds it. If this fails, any node may be next.
    pub(super) async fn name_successor(&self, node: &str, session: &str) {
        match self {
            Self::Consul(client) => client.name_successor(node, session).await,
            #[cfg(test)]
            Self::Simulated(world) => world.name_successor(node, session).await,
        }
    }

    /// Releases the lock with these flags, if the session holds it. It may
    /// take effect after the answer is given up.
    pub(super) async fn release(&self, session: &str, flags: u64) {
        match self {
            Self::Consul(client) => client.release(session, flags).await,
            #[cfg(test)]
            Self::Simulated(world) => world.release(session, flags).await,
        }
    }

    /// The epoch, as it was some time ago at worst.
    pub(super) async fn read_epoch(&self) -> Option<u64> {
        match self {
            Self::Consul(client) => client.read_epoch().await,
            #[cfg(test)]
            Self::Simulated(world) => world.read_epoch().await,
        }
    }
}
