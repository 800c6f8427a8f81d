//! What the driver publishes of one stream to the rest of the node: its role
//! with the lease, and its tenure.

use std::sync::Arc;

use tokio::sync::watch;

use super::late_renewals::LateRenewals;
use super::lock::{Key, Lock};
use super::loss::Loss;
use super::role::Role;
use super::stream_name::StreamName;
use super::tenure::Tenure;
use sluice_types::clock::BootTime;
use sluice_types::documents::LeaderAddress;
use sluice_types::lease::Lease;
use sluice_types::stream::DEFAULT_STREAM;

/// The identity of this node in the election.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) stream: StreamName,
    pub(super) node: String,
    /// What the lock's key holds while this node leads.
    pub(super) value: Vec<u8>,
    /// The lock's key, for the log.
    pub(super) leader_key: String,
}

impl Candidate {
    /// The stream, for the log, unless it is the default one.
    fn other_stream(&self) -> Option<&str> {
        Some(&*self.stream).filter(|stream| *stream != DEFAULT_STREAM)
    }
}

/// Publishes by `watch` channels; the lease is shared.
pub(super) struct Publisher {
    candidate: Candidate,
    role: watch::Sender<Role>,
    tenure: watch::Sender<Option<Tenure>>,
    lease: Option<Arc<Lease>>,
    late_renewals: Arc<LateRenewals>,
    /// The other node that leads, by the lock's key.
    leader: Option<LeaderAddress>,
}

impl Publisher {
    pub(super) const fn new(
        candidate: Candidate,
        role: watch::Sender<Role>,
        tenure: watch::Sender<Option<Tenure>>,
        late_renewals: Arc<LateRenewals>,
    ) -> Self {
        Self {
            candidate,
            role,
            tenure,
            lease: None,
            late_renewals,
            leader: None,
        }
    }

    pub(super) const fn is_leader(&self) -> bool {
        self.lease.is_some()
    }

    /// Starts a tenure, under this session if it still exists. Its first effect
    /// has to wait for `wait_ms`.
    pub(super) fn lead(&mut self, lease: Lease, wait_ms: u128, session: Option<&str>) {
        let (epoch, lease) = (lease.epoch(), Arc::new(lease));
        let stream = self.candidate.other_stream();
        tracing::info!(epoch, wait_ms, stream, "this node leads");
        self.lease = Some(Arc::clone(&lease));
        self.tenure.send_replace(session.map(|session| Tenure {
            epoch,
            session: session.to_owned(),
        }));
        self.role.send_replace(Role::Leader(lease));
    }

    pub(super) fn extend(&self, until: BootTime) {
        if let Some(lease) = &self.lease {
            if let Some(before) = lease.valid_until() {
                self.late_renewals.extended(before, until);
            }
            lease.extend(until);
        }
    }

    /// Ends the tenure, if there is one.
    pub(super) fn lose(&mut self, loss: &Loss) {
        if let Some(lease) = self.lease.take() {
            // First, so that nothing is written or acknowledged from here on.
            lease.revoke();
            self.log_loss(lease.epoch(), loss);
        }
        self.tenure.send_replace(None);
        self.role.send_replace(Role::Follower {
            leader: self.leader.clone(),
        });
    }

    fn log_loss(&self, epoch: u64, loss: &Loss) {
        let stream = self.candidate.other_stream();
        if loss.is_from_outside() {
            tracing::warn!(
                epoch,
                key = self.candidate.leader_key,
                found = %loss,
                stream,
                "this node no longer leads: it has stopped acknowledging, and campaigns again"
            );
        } else {
            tracing::info!(epoch, reason = %loss, stream, "this node no longer leads");
        }
    }

    /// What is known of the lock has changed.
    pub(super) fn show(&mut self, lock: &Lock) {
        let leader = self.other_leader(lock);
        if self.lease.is_none() {
            if leader != self.leader {
                log_leader(self.candidate.other_stream(), leader.as_ref());
            }
            self.role.send_replace(Role::Follower {
                leader: leader.clone(),
            });
        }
        self.leader = leader;
    }

    /// The node that holds the lock, if it is not this one. While this node
    /// does not lead, a lock in its name belongs to an earlier tenure, or to
    /// one that is about to begin: no node to send clients to.
    fn other_leader(&self, lock: &Lock) -> Option<LeaderAddress> {
        let held = lock.key.as_ref().filter(|key| key.session.is_some())?;
        let Some(leader) = LeaderAddress::from_value(&held.value) else {
            self.log_nameless(held);
            return None;
        };
        let is_own = held.value == self.candidate.value || leader.node == self.candidate.node;
        (!is_own).then_some(leader)
    }

    fn log_nameless(&self, key: &Key) {
        let value = String::from_utf8_lossy(&key.value).into_owned();
        let key = &self.candidate.leader_key;
        tracing::warn!(key, value, "the leader's key names no leader");
    }
}

fn log_leader(stream: Option<&str>, leader: Option<&LeaderAddress>) {
    match leader {
        Some(leader) => {
            tracing::info!(
                node = leader.node,
                address = leader.address,
                stream,
                "following"
            );
        }
        None => tracing::info!(stream, "no leader at the moment"),
    }
}
