//! A client whose requests are signed with the cluster's secret.

use thiserror::Error;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use crate::peer::{PeerClient, Secret};
use sluice_consul::Client;

#[derive(Debug, Error)]
#[error(
    "ask the nodes: there is no key {0}/secret in Consul; is the cluster's name right, and has \
     a node ever run?"
)]
pub(super) struct NoSecret(pub(super) String);

/// A client for the peer routes of the cluster's nodes.
///
/// # Errors
/// Consul gives no usable answer, or there is no secret.
pub(super) async fn signing(consul: &Client, cluster: &ClusterArgs) -> Result<PeerClient, Failure> {
    let name = &cluster.name;
    let secret = consul.read(&format!("{name}/secret"), None).await?.value;
    let secret = secret.ok_or_else(|| NoSecret(name.clone()))?;
    Ok(PeerClient::new(Secret::new(&secret.value), cluster.tls)?)
}
