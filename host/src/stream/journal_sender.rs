//! What a node that does not lead does with its journal: it hands the records
//! to the leader, in their order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::peer::{PeerClient, PeerError, Secret};
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{Backlog, Journal};
use sluice_leadership::NodeAddresses;
use sluice_leadership::Role;
use sluice_types::backoff::Backoff;
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

/// About how much is handed over at once, as records count in memory.
const CHUNK: usize = 1 << 20;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Hands the journal over whenever another node leads.
#[derive(Debug)]
pub struct JournalSender {
    /// This node's name.
    pub node: String,
    /// What is to be handed over.
    pub journal: Journal,
    /// Who leads.
    pub role: watch::Receiver<Role>,
    /// What the leader wants requests to be signed with.
    pub secret: watch::Receiver<Option<Secret>>,
    /// The nodes of the cluster; nobody else is handed anything.
    pub addresses: NodeAddresses,
    /// Whether the nodes speak HTTPS.
    pub tls: bool,
    /// Counts what is handed over.
    pub metrics: Arc<Metrics>,
}

impl JournalSender {
    /// Never ends.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        let mut most = CHUNK;
        loop {
            let leader = self.leader().await;
            let mut role = self.role.clone();
            let is_over = async {
                let is_other = |role: &Role| leader_of(role) != Some(&leader);
                drop(role.wait_for(is_other).await);
            };
            let result = tokio::select! {
                result = self.hand_to(&leader, &mut most, &mut backoff) => result,
                () = is_over => continue,
            };
            if let Err(error) = result {
                tracing::warn!(
                    leader = leader.node,
                    error = chain(&error),
                    "the leader did not take what is in the journal; trying again"
                );
            }
            tokio::time::sleep(backoff.next(None)).await;
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

    /// Hands over all there is, and what comes: the last of a tenure may still
    /// be on its way to the disk. `most` is how much to begin with at once.
    async fn hand_to(
        &self,
        leader: &LeaderAddress,
        most: &mut usize,
        backoff: &mut Backoff,
    ) -> Result<(), PeerError> {
        let mut secret = self.secret.clone();
        let secret = match secret.wait_for(Option::is_some).await {
            Ok(secret) => secret.clone(),
            Err(_) => None,
        };
        let Some(secret) = secret else {
            return Ok(());
        };
        // One for all: it keeps its connection. Another secret shows as an error,
        // after which this begins anew.
        let client = PeerClient::new(secret, self.tls)?;
        let mut backlog = Backlog::new(self.journal.clone());
        loop {
            backlog.more().await;
            let address = &leader.address;
            let is_peer = |peers: &Arc<std::collections::HashSet<String>>| peers.contains(address);
            drop(self.addresses.clone().wait_for(is_peer).await);
            let bytes = *most;
            let reading = tokio::task::spawn_blocking(move || {
                let chunk = backlog.read(bytes);
                (backlog, chunk)
            });
            let chunk = match reading.await {
                Ok((read, Ok(chunk))) => {
                    backlog = read;
                    chunk
                }
                Ok((_, Err(error))) => {
                    tracing::error!(error = chain(&error), "the journal can not be read");
                    return Ok(());
                }
                Err(_) => return Ok(()),
            };
            if chunk.is_empty() {
                self.journal.settle(chunk.end);
                continue;
            }
            let handed = client
                .hand_over(address, self.journal.id(), chunk.to_frames())
                .await?;
            let taken = handed.taken.min(chunk.end);
            let count = chunk.entries.iter().filter(|entry| **entry < taken).count();
            self.metrics
                .handed_over
                .inc_by(u64::try_from(count).unwrap_or_default());
            self.journal.settle(taken);
            *most = CHUNK;
            if let Some(error) = handed.error {
                // What follows was delivered all the same: it should not be each time that this
                // record is offered again.
                *most = 1;
                tracing::error!(
                    leader = leader.node,
                    error,
                    "the leader could not take all of the journal; trying again"
                );
                return Ok(());
            }
            backoff.reset();
            tracing::info!(
                leader = leader.node,
                records = count,
                "handed records of the journal over"
            );
        }
    }
}

fn leader_of(role: &Role) -> Option<&LeaderAddress> {
    match role {
        Role::Follower { leader } => leader.as_ref(),
        Role::Leader(_) => None,
    }
}
