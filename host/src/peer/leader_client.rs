//! Reaches the node that leads, and the others.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::client::PeerClient;
use super::secret::Secret;
use crate::tls::PeerTls;
use sluice_leadership::{Controls, NodeAddresses, Peers};
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

/// Gives the client for other nodes, with the cluster's latest secret.
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
    /// That of the authorities that the client trusts.
    version: u64,
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
            version: 0,
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
        let client = self.client()?;
        let name = self.peers.name_at(address);
        Ok((client, name.unwrap_or_else(|| leader.node.clone())))
    }

    /// The URL of a path of a node.
    pub(crate) fn url(&self, address: &str, path: &str) -> String {
        format!("{}://{address}{path}", self.tls.scheme())
    }

    /// How nodes are reached.
    pub(crate) const fn tls(&self) -> &PeerTls {
        &self.tls
    }

    /// The client for any node.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn client(&self) -> Result<Arc<PeerClient>, String> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender being gone means the same.
        let version = self.tls.version();
        let is_new = latest.secret.has_changed().unwrap_or(false) || version != latest.version;
        if let Some(client) = &latest.client
            && !is_new
        {
            return Ok(Arc::clone(client));
        }
        let secret = latest.secret.borrow_and_update().clone();
        let secret = secret.ok_or_else(|| "the cluster's secret is not known yet".to_owned())?;
        let made = PeerClient::new(secret, &self.tls).map(Arc::new);
        let made = made.map_err(|error| chain(&error));
        latest.version = version;
        latest.client = made.as_ref().ok().map(Arc::clone);
        made
    }
}
