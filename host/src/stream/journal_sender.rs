//! Sends the journal of a node that does not lead to the leader, in order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::peer::wire::TransferAnswer;
use crate::peer::{PeerClient, PeerError, Secret, Target};
use crate::tls::PeerTls;
use sluice_delivery::metrics::StreamMetrics;
use sluice_delivery::{Backlog, Chunk, Journal};
use sluice_leadership::{NodeAddresses, Peers, Role};
use sluice_types::backoff::Backoff;
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

/// About how many bytes of records are sent at once, as they count in memory.
const CHUNK_BYTES: usize = 1 << 20;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Sends the journal whenever another node leads.
#[derive(Debug)]
pub(super) struct JournalSender {
    /// The stream that the journal is of.
    pub(super) stream: String,
    /// This node's name.
    pub(super) node: String,
    pub(super) journal: Journal,
    pub(super) role: watch::Receiver<Role>,
    /// What the leader wants requests to be signed with.
    pub(super) secret: watch::Receiver<Option<Secret>>,
    /// The nodes of the cluster; nothing is sent to others.
    pub(super) addresses: NodeAddresses,
    /// Knows the leader's name if the lock's key holds only its host.
    pub(super) peers: Peers,
    /// Whether the nodes speak HTTPS.
    pub(super) tls: PeerTls,
    pub(super) metrics: Arc<StreamMetrics>,
}

/// How much to send at once, and how long to wait after a failure.
#[derive(Debug)]
struct Pace {
    bytes: usize,
    backoff: Backoff,
}

impl JournalSender {
    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let mut pace = Pace {
            bytes: CHUNK_BYTES,
            backoff: Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF),
        };
        loop {
            let leader = self.leader().await;
            let mut role = self.role.clone();
            let is_over = async {
                let is_other = |role: &Role| leader_of(role) != Some(&leader);
                drop(role.wait_for(is_other).await);
            };
            let result = tokio::select! {
                result = self.send_to(&leader, &mut pace) => result,
                () = is_over => continue,
            };
            if let Err(error) = result {
                tracing::warn!(
                    leader = leader.node,
                    error = chain(&error),
                    "the leader did not take the records of the journal; trying again"
                );
            }
            tokio::time::sleep(pace.backoff.next(None)).await;
        }
    }

    /// Waits for another node to lead.
    async fn leader(&mut self) -> LeaderAddress {
        loop {
            let leader = leader_of(&self.role.borrow_and_update()).cloned();
            if let Some(leader) = leader.filter(|leader| leader.node != self.node) {
                return leader;
            }
            if self.role.changed().await.is_err() {
                // The node is about to end.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sends all records that there are and that come: the last ones of a
    /// tenure may still be on their way to the disk.
    async fn send_to(&self, leader: &LeaderAddress, pace: &mut Pace) -> Result<(), PeerError> {
        let Some(secret) = self.secret().await else {
            return Ok(());
        };
        // One client for all requests keeps its connection. If the secret
        // changes, the next request fails and this starts again.
        let client = PeerClient::new(secret, &self.tls)?.for_stream(&self.stream);
        let mut backlog = Backlog::new(self.journal.clone());
        loop {
            backlog.more().await;
            self.until_registered(&leader.address).await;
            let Some((read, chunk)) = read(backlog, pace.bytes).await else {
                return Ok(());
            };
            backlog = read;
            if chunk.is_empty() {
                self.journal.settle(chunk.end);
                continue;
            }
            let address = leader.address.as_str();
            let name = self.peers.name_at(address);
            let target = Target {
                node: name.as_deref().unwrap_or(&leader.node),
                address,
            };
            let answer = client
                .transfer(target, self.journal.id(), chunk.to_frames())
                .await?;
            let records = self.settle(&chunk, &answer);
            pace.bytes = CHUNK_BYTES;
            if let Some(error) = answer.error {
                // The records after the failed one were delivered. One at a
                // time, they are not delivered again with each attempt.
                pace.bytes = 1;
                tracing::error!(
                    leader = leader.node,
                    error,
                    "the leader could not take all records of the journal; trying again"
                );
                return Ok(());
            }
            pace.backoff.reset();
            tracing::info!(
                leader = leader.node,
                records,
                "the leader took records of the journal"
            );
        }
    }

    /// Waits until the secret is known; `None` if it never will be.
    async fn secret(&self) -> Option<Secret> {
        let mut secret = self.secret.clone();
        let known = secret.wait_for(Option::is_some).await;
        known.ok().and_then(|known| known.clone())
    }

    /// Waits until this is the address of a registered node.
    async fn until_registered(&self, address: &str) {
        let is_peer = |peers: &Arc<HashSet<String>>| peers.contains(address);
        drop(self.addresses.clone().wait_for(is_peer).await);
    }

    /// Settles what the leader took, and returns the number of these records.
    fn settle(&self, chunk: &Chunk, answer: &TransferAnswer) -> usize {
        let taken = answer.taken.min(chunk.end);
        let count = chunk.entries.iter().filter(|entry| **entry < taken).count();
        let counted = u64::try_from(count).unwrap_or_default();
        self.metrics.transferred.inc_by(counted);
        self.journal.settle(taken);
        count
    }
}

/// Reads a chunk where waiting for the disk holds up nothing else; `None` if
/// that fails.
async fn read(mut backlog: Backlog, bytes: usize) -> Option<(Backlog, Chunk)> {
    let reading = tokio::task::spawn_blocking(move || {
        let chunk = backlog.read(bytes);
        (backlog, chunk)
    });
    let (backlog, chunk) = reading.await.ok()?;
    let chunk = chunk.inspect_err(|error| {
        tracing::error!(error = chain(error), "the journal cannot be read");
    });
    Some((backlog, chunk.ok()?))
}

fn leader_of(role: &Role) -> Option<&LeaderAddress> {
    match role {
        Role::Follower { leader } => leader.as_ref(),
        Role::Leader(_) => None,
    }
}
