//! Which cluster a command is about, and who leads it, as Consul says.

use clap::Args;

use sluice_consul::{Client, Error};
use sluice_types::leader::LeaderAddress;

/// How to find a cluster's nodes.
#[derive(Debug, Default, Args)]
pub(super) struct ClusterArgs {
    /// The cluster's name
    #[arg(long = "cluster", env = "SLUICE_CLUSTER", default_value = "sluice")]
    pub(super) name: String,

    /// The key of the lock [default: the cluster's name and /leader]
    #[arg(long, env = "SLUICE_LEADER_KEY")]
    leader_key: Option<String>,

    /// The nodes speak HTTPS
    #[arg(long, env = "SLUICE_NODE_TLS")]
    pub(super) tls: bool,
}

impl ClusterArgs {
    /// How URLs of its nodes begin.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Who leads.
    ///
    /// # Errors
    /// No usable answer from Consul.
    pub(super) async fn leader(&self, consul: &Client) -> Result<Option<LeaderAddress>, Error> {
        let key = self.leader_key.clone();
        leader(consul, &key.unwrap_or_else(|| leader_key(&self.name))).await
    }
}

/// The key of a cluster's lock, unless another is given.
pub(super) fn leader_key(cluster: &str) -> String {
    format!("{cluster}/leader")
}

/// Who leads, by this key: only while it is held.
///
/// # Errors
/// No usable answer from Consul.
pub(super) async fn leader(consul: &Client, key: &str) -> Result<Option<LeaderAddress>, Error> {
    let entry = consul.read(key, None).await?.value;
    let held = entry.filter(|entry| entry.session.is_some());
    Ok(held.and_then(|entry| LeaderAddress::from_value(&entry.value)))
}
