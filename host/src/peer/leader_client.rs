//! Reaches the node that leads.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::client::PeerClient;
use super::secret::Secret;
use crate::tls::PeerTls;
use sluice_leadership::{Controls, NodeAddresses, Peers};
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

/// Gives the client for the leader, with the cluster's latest secret.
#[derive(Debug)]
pub(crate) struct LeaderClient {
    addresses: NodeAddresses,
    peers: Peers,
    tls: PeerTls,
    latest: Mutex<Latest>,
}

/// The client for the last secret that was seen.
#[derive(Debug)]
struct Latest {
    secret: watch::Receiver<Option<Secret>>,
    client: Option<Arc<PeerClient>>,
}

impl LeaderClient {
    /// `secret` is what nodes sign with; `tls` says how they are reached.
    pub(crate) fn new(
        controls: &Controls,
        secret: watch::Receiver<Option<Secret>>,
        tls: PeerTls,
    ) -> Arc<Self> {
        let latest = Latest {
            secret,
            client: None,
        };
        Arc::new(Self {
            addresses: controls.addresses.clone(),
            peers: controls.peers.clone(),
            tls,
            latest: Mutex::new(latest),
        })
    }

    /// The client for the leader, and the leader's name.
    ///
    /// # Errors
    /// Why nothing can be sent to it.
    pub(crate) fn reach(
        &self,
        leader: &LeaderAddress,
    ) -> Result<(Arc<PeerClient>, String), String> {
        let address = leader.address.as_str();
        if !self.addresses.borrow().contains(address) {
            return Err(format!(
                "the leader's address {address} is not that of a registered node"
            ));
        }
        let client = self.client();
        let client = client.ok_or_else(|| "the cluster's secret is not known yet".to_owned())?;
        let name = self.peers.name_at(address);
        Ok((client, name.unwrap_or_else(|| leader.node.clone())))
    }

    fn client(&self) -> Option<Arc<PeerClient>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender being gone means the same.
        let is_new = latest.secret.has_changed().unwrap_or(false);
        if is_new || latest.client.is_none() {
            let secret = latest.secret.borrow_and_update().clone()?;
            let made = PeerClient::new(secret, &self.tls).inspect_err(|error| {
                tracing::error!(error = chain(error), "cannot send to the leader")
            });
            latest.client = made.ok().map(Arc::new);
        }
        latest.client.clone()
    }
}
