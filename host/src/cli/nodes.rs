//! The nodes of a cluster, each of which is asked for what it has.

use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::error_chain::chain;
use sluice_types::readable;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::secret::signing;
use crate::peer::{PeerClient, PeerError, Target, node_name};

/// All nodes that are registered with Consul.
pub(super) struct Nodes {
    consul: Client,
    pub(super) client: PeerClient,
    cluster: String,
}

impl Nodes {
    /// # Errors
    /// Consul gives no usable answer.
    pub(super) async fn open(args: &ClusterArgs) -> Result<Self, Failure> {
        let consul = Client::new(consul::Config::from_env()?)?;
        Ok(Self {
            client: signing(&consul, args).await?,
            consul,
            cluster: args.name.clone(),
        })
    }

    /// Asks the nodes that are wanted by their names, one after the other, and adds what
    /// each has. Returns whether all have answered: one that does not is left out, with a
    /// message on stderr.
    ///
    /// # Errors
    /// Consul gives no usable answer.
    pub(super) async fn ask<T>(
        &self,
        is_wanted: impl Fn(&str) -> bool,
        ask: impl AsyncFn(&PeerClient, Target<'_>) -> Result<T, PeerError>,
        mut add: impl FnMut(Target<'_>, T),
    ) -> Result<bool, Failure> {
        let mut is_complete = true;
        for instance in self.consul.instances(&self.cluster, None).await?.value {
            let node = node_name(&self.cluster, &instance);
            if !is_wanted(node) {
                continue;
            }
            let address = &instance.host_and_port();
            let target = Target { node, address };
            match ask(&self.client, target).await {
                Ok(found) => add(target, found),
                Err(error) => {
                    is_complete = false;
                    let node = readable::source(node);
                    eprintln!("sluice: {node} is left out: failed to {}", chain(&error));
                }
            }
        }
        Ok(is_complete)
    }
}
