//! Signing with the cluster's secret.

use thiserror::Error;

use super::Failure;
use super::cluster::ClusterArgs;
use crate::peer::{PeerClient, Secret};
use sluice_consul::Client;

#[derive(Debug, Error)]
#[error(
    "ask the nodes: there is no key {0}/secret in Consul; is the cluster's name right, and did a \
     node ever run?"
)]
pub(super) struct NoSecret(pub(super) String);

/// A client for the internal routes of the cluster's nodes.
///
/// # Errors
/// No usable answer from Consul, or there is no secret.
pub(super) async fn signing(consul: &Client, cluster: &ClusterArgs) -> Result<PeerClient, Failure> {
    let name = &cluster.name;
    let secret = consul.read(&format!("{name}/secret"), None).await?.value;
    let secret = secret.ok_or_else(|| NoSecret(name.clone()))?;
    Ok(PeerClient::new(Secret::new(&secret.value), cluster.tls)?)
}
