//! A client whose requests are signed with the cluster's secret.

use thiserror::Error;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use crate::peer::{PeerClient, Secret};
use sluice_consul::Client;
use sluice_types::keys::ClusterKeys;

#[derive(Debug, Error)]
#[error(
    "ask the nodes: there is no key {0} in Consul; is the cluster's name right, and has \
     a node ever run?"
)]
struct NoSecret(String);

/// A client for the peer routes of the cluster's nodes, for the command's stream.
///
/// # Errors
/// Consul gives no usable answer, or there is no secret.
pub(super) async fn signing(consul: &Client, cluster: &ClusterArgs) -> Result<PeerClient, Failure> {
    let secret = value(consul, cluster).await?;
    let client = PeerClient::new(Secret::new(&secret), &cluster.peer_tls()?)?;
    Ok(client.for_stream(&cluster.stream))
}

/// The secret as text, so that it can be kept out of what is written.
///
/// # Errors
/// As above.
pub(super) async fn secret_text(consul: &Client, cluster: &ClusterArgs) -> Result<String, Failure> {
    let secret = value(consul, cluster).await?;
    Ok(String::from_utf8_lossy(&secret).trim().to_owned())
}

async fn value(consul: &Client, cluster: &ClusterArgs) -> Result<Vec<u8>, Failure> {
    let key = ClusterKeys::new(&cluster.name).secret();
    let secret = consul.read(&key, None).await?.value;
    Ok(secret.ok_or(NoSecret(key))?.value)
}
