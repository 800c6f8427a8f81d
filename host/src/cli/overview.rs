//! The nodes of a cluster and their states, as commands show them.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;

use super::api::ApiClient;
use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::http_client::http_client;
use crate::http::admin::Status;
use crate::http::cluster;
use crate::peer::node_name;
use sluice_access::Scope;
use sluice_consul as consul;
use sluice_consul::{Client, Instance};
use sluice_types::documents::LeaderAddress;
use sluice_types::keys::ClusterKeys;
use sluice_types::stream::DEFAULT_STREAM;

/// How long a node may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub(super) cluster: String,
    pub(super) leader: Option<LeaderAddress>,
    pub(super) epoch: u64,
    pub(super) nodes: Vec<NodeRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct NodeRow {
    pub(super) node: String,
    pub(super) address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Box<Status>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl From<cluster::Overview> for Overview {
    fn from(seen: cluster::Overview) -> Self {
        let nodes = seen.nodes.into_iter().map(|row| NodeRow {
            node: row.node,
            address: row.address,
            status: row.status.map(Box::new),
            error: row.error,
        });
        Self {
            cluster: seen.cluster,
            leader: seen.leader,
            epoch: seen.epoch,
            nodes: nodes.collect(),
        }
    }
}

/// Where the status of the nodes is from.
pub(super) enum Source {
    /// One node, which asks the others.
    Node(ApiClient),
    /// Each node, at the address that Consul names.
    Nodes(Box<Client>, reqwest::Client),
}

impl Source {
    /// # Errors
    /// The flags cannot be used, or there is no node.
    pub(super) async fn open(args: &ClusterArgs) -> Result<Self, Failure> {
        if let Some(api) = ApiClient::open(args).await? {
            return Ok(Self::Node(api));
        }
        let consul = Client::new(consul::Config::from_env()?)?;
        let http = http_client(&args.peer_tls()?, ANSWER_TIMEOUT)?;
        Ok(Self::Nodes(Box::new(consul), http))
    }

    /// # Errors
    /// Consul or the node gives no usable answer.
    pub(super) async fn overview(&self, args: &ClusterArgs) -> Result<Overview, Failure> {
        match self {
            Self::Node(api) => {
                let seen: cluster::Overview = api.get("/api/v1/cluster", &[], Scope::Read).await?;
                Ok(seen.into())
            }
            Self::Nodes(consul, http) => Ok(overview(args, consul, http).await?),
        }
    }
}

async fn overview(
    args: &ClusterArgs,
    consul: &Client,
    http: &reqwest::Client,
) -> Result<Overview, consul::Error> {
    let cluster = &args.name;
    let leader = args.leader(consul).await?;
    let epoch = consul
        .read(&ClusterKeys::new(cluster).epoch(), None)
        .await?
        .value;
    let epoch = epoch.and_then(|entry| String::from_utf8(entry.value).ok()?.trim().parse().ok());
    let mut instances = consul.instances(cluster, None).await?.value;
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    let rows = instances.iter().map(|instance| row(args, http, instance));
    let nodes = join_all(rows).await;
    Ok(Overview {
        cluster: cluster.clone(),
        leader,
        epoch: epoch.unwrap_or(0),
        nodes,
    })
}

/// The path of a node's status for a stream.
pub(super) fn status_path(stream: &str) -> String {
    match stream {
        DEFAULT_STREAM => "/api/v1/status".to_owned(),
        named => format!("/streams/{named}/api/v1/status"),
    }
}

async fn row(cluster: &ClusterArgs, http: &reqwest::Client, instance: &Instance) -> NodeRow {
    let node = node_name(&cluster.name, instance).to_owned();
    let address = instance.host_and_port();
    let scheme = cluster.scheme();
    let asked = async {
        let url = format!("{scheme}://{address}{}", status_path(&cluster.stream));
        let body = http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        Ok::<_, reqwest::Error>(serde_json::from_slice::<Status>(&body))
    };
    let (status, error) = match asked.await {
        Ok(Ok(status)) => (Some(Box::new(status)), None),
        Ok(Err(error)) => (None, Some(format!("not a status: {error}"))),
        Err(error) if error.is_timeout() => (None, Some("no answer in time".to_owned())),
        Err(error) if error.is_connect() => (None, Some("cannot be reached".to_owned())),
        Err(error) => (None, Some(error.to_string())),
    };
    NodeRow {
        node,
        address,
        status,
        error,
    }
}
