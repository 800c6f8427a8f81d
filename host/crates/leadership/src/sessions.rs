//! Opens and ends the sessions of this node, and keeps their ids on disk: what
//! a process leaves when it is killed, the next one ends.

use std::time::Duration;

use futures_util::future::join_all;

use super::clock::Clock;
use super::coordination::Coordination;
use super::node_disk::NodeDisk;
use super::session_kind::SessionKind;

/// The pause before a session that did not end is ended again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Shared by the driver and the presence of this node.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    coordination: Coordination,
    disk: NodeDisk,
    clock: Clock,
}

impl Sessions {
    pub(super) const fn new(coordination: Coordination, disk: NodeDisk, clock: Clock) -> Self {
        Self {
            coordination,
            disk,
            clock,
        }
    }

    /// Opens a session; its id is on disk when this returns.
    pub(super) async fn open(&self, kind: SessionKind) -> Option<String> {
        let id = self.coordination.open_session(kind).await?;
        self.disk.add_session(id.clone()).await;
        Some(id)
    }

    /// Ends a session, and tries until the coordinator has confirmed it: one
    /// that only this node has forgotten would keep the lock until its TTL is
    /// over.
    pub(super) async fn end(&self, id: String) {
        while !self.coordination.end_session(&id).await {
            self.clock.sleep(RETRY_INTERVAL).await;
        }
        self.forget(id).await;
    }

    /// The session has ended.
    pub(super) async fn forget(&self, id: String) {
        self.disk.remove_session(id).await;
    }

    /// Ends the sessions that earlier processes of this node have left.
    pub(super) async fn end_earlier(&self) {
        let earlier = self.disk.earlier_sessions();
        join_all(earlier.into_iter().map(|id| self.end(id))).await;
    }
}
