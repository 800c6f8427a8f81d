//! Where commands read what the cluster says about its sinks.

use std::time::Duration;

use crate::cli::api::ApiClient;
use crate::cli::cluster::{ClusterArgs, StreamOf};
use crate::cli::failure::Failure;
use sluice_consul as consul;
use sluice_consul::Client;

/// How often progress is looked at. A node asks Consul and the other nodes each time.
const CONSUL_INTERVAL: Duration = Duration::from_millis(100);
const NODE_INTERVAL: Duration = Duration::from_millis(500);

/// Consul, or a node with `--url` or `--token-file`.
pub(super) enum Desk {
    Consul(Box<Client>),
    Node(Box<ApiClient>),
}

impl Desk {
    /// # Errors
    /// The flags or the variables of Consul cannot be used, or there is no node.
    pub(super) async fn open(args: &ClusterArgs) -> Result<Self, Failure> {
        if let Some(api) = ApiClient::open(args).await? {
            return Ok(Self::Node(Box::new(api)));
        }
        let client = Client::new(consul::Config::from_env()?)?;
        Ok(Self::Consul(Box::new(client)))
    }

    pub(super) const fn interval(&self) -> Duration {
        match self {
            Self::Consul(_) => CONSUL_INTERVAL,
            Self::Node(_) => NODE_INTERVAL,
        }
    }

    /// The key of the manifest, for people.
    pub(super) fn key(&self, of: StreamOf<'_>) -> String {
        match self {
            Self::Consul(_) => of.plugin_key(),
            // Only the node knows its cluster.
            Self::Node(_) => "the key of the plugin".to_owned(),
        }
    }
}
