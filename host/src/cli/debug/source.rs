//! Where a bundle is from: one node, which asks the others, or each node.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::error::DebugError;
use crate::cli::api::ApiClient;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::secret::{secret_text, signing};
use crate::http::admin::StreamsDocument;
use crate::http::cluster::{Asked, Change, Overview, PluginView};
use crate::peer::{PeerClient, Target, node_name};
use crate::plugin::history;
use sluice_access::Scope;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::error_chain::chain;
use sluice_types::keys::ClusterKeys;
use sluice_types::readable;
use sluice_types::stream::DEFAULT_STREAM;

/// The time for a node's report, and for what Consul says.
const REPORT_LIMIT: Duration = Duration::from_secs(25);
const CONSUL_LIMIT: Duration = Duration::from_secs(10);
/// The most streams that are asked for beside the default one.
const STREAMS_MAX: usize = 256;
/// For longer than this a node does not give the same overview again.
const OVERVIEW_AGE: Duration = Duration::from_millis(500);

pub(super) enum Source {
    /// A node, with `--url` or `--token-file`.
    Node(ApiClient),
    /// Every node that Consul names.
    Nodes(Box<Consul>),
}

/// Consul, and what signs requests to nodes.
pub(super) struct Consul {
    client: Client,
    peers: PeerClient,
    cluster: String,
    /// The cluster's secret, so that it can be kept out.
    secret: String,
}

/// A node that is asked.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) node: String,
    address: String,
}

/// What is known of the cluster as a whole.
pub(super) struct ClusterPart {
    pub(super) members: Vec<Member>,
    /// The overview of one node, or what Consul has registered.
    pub(super) overview: Value,
}

impl Source {
    /// # Errors
    /// The flags cannot be used, or Consul gives no usable answer.
    pub(super) async fn open(args: &ClusterArgs) -> Result<Self, Failure> {
        if let Some(api) = ApiClient::open(args).await? {
            return Ok(Self::Node(api));
        }
        let client = Client::new(consul::Config::from_env()?)?;
        Ok(Self::Nodes(Box::new(Consul {
            peers: signing(&client, args).await?,
            secret: secret_text(&client, args).await?,
            client,
            cluster: args.name.clone(),
        })))
    }

    /// Secrets that this command uses.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Node(api) => api.token().map(str::to_owned).into_iter().collect(),
            Self::Nodes(consul) => vec![consul.secret.clone()],
        }
    }

    /// How the nodes are asked, for people.
    pub(super) fn way(&self) -> String {
        match self {
            Self::Node(api) => format!("through the node at {}", api.base()),
            Self::Nodes(_) => "each node, as Consul names them".to_owned(),
        }
    }

    /// The nodes, and the cluster as a whole.
    ///
    /// # Errors
    /// There is no usable answer, or no node.
    pub(super) async fn cluster(&self) -> Result<ClusterPart, Failure> {
        match self {
            Self::Node(api) => {
                let path = "/api/v1/cluster";
                // The first one makes the node ask Consul which nodes are registered, and
                // the next one has those as well that do not run.
                api.get_bytes(path, &[], Scope::Read).await?;
                sleep(OVERVIEW_AGE).await;
                let seen: Overview = api.get(path, &[], Scope::Read).await?;
                let members = seen.nodes.iter().map(|row| Member {
                    node: row.node.clone(),
                    address: row.address.clone(),
                });
                Ok(ClusterPart {
                    members: members.collect(),
                    overview: serde_json::to_value(&seen)?,
                })
            }
            Self::Nodes(consul) => consul.cluster().await,
        }
    }

    /// The names of the streams other than the default one.
    ///
    /// # Errors
    /// Why they are not known, for people.
    pub(super) async fn other_streams(&self) -> Result<Vec<String>, String> {
        let reading = async {
            match self {
                Self::Node(api) => {
                    let list = api.get("/api/v1/streams", &[], Scope::Read).await;
                    let list: StreamsDocument = list.map_err(|error| chain(&error))?;
                    Ok(list.streams.into_iter().map(|stream| stream.name).collect())
                }
                Self::Nodes(consul) => consul.streams().await.map_err(|error| chain(&error)),
            }
        };
        let read = timeout(CONSUL_LIMIT, reading).await;
        let names: Vec<String> = read.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
        let others = names.into_iter().filter(|name| name != DEFAULT_STREAM);
        Ok(others.take(STREAMS_MAX).collect())
    }

    /// What Consul says of the plugin of a stream: what is asked for, what runs, what was
    /// live before. It is not asked later than at `end`.
    ///
    /// # Errors
    /// Why it is not known, for people.
    pub(super) async fn plugin(&self, stream: &str, end: Instant) -> Result<PluginView, String> {
        let reading = async {
            match self {
                Self::Node(api) => {
                    let api = api.of_stream(stream);
                    let view = api.get("/api/v1/plugin", &[], Scope::Read).await;
                    view.map_err(|error| chain(&error))
                }
                Self::Nodes(consul) => consul.plugin(stream).await.map_err(|error| chain(&error)),
            }
        };
        let read = timeout_at(end.min(Instant::now() + CONSUL_LIMIT), reading).await;
        read.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    /// The report of a node, as JSON.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(super) async fn report(&self, member: &Member) -> Result<Vec<u8>, String> {
        let asking = async {
            match self {
                Self::Node(api) => {
                    let query = [("node", member.node.clone())];
                    let report = api.get_bytes("/api/v1/debug", &query, Scope::Read).await;
                    report.map_err(|error| chain(&error))
                }
                Self::Nodes(consul) => {
                    let target = Target {
                        node: &member.node,
                        address: &member.address,
                    };
                    let report = consul.peers.debug(target).await;
                    report.map(Vec::from).map_err(|error| chain(&error))
                }
            }
        };
        let asked = timeout(REPORT_LIMIT, asking).await;
        asked.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
    }
}

impl Consul {
    async fn cluster(&self) -> Result<ClusterPart, Failure> {
        let instances = self.client.instances(&self.cluster, None).await?.value;
        if instances.is_empty() {
            return Err(DebugError::NoNodes(readable::source(&self.cluster)).into());
        }
        let members: Vec<_> = instances
            .iter()
            .map(|instance| Member {
                node: node_name(&self.cluster, instance).to_owned(),
                address: instance.host_and_port(),
            })
            .collect();
        let nodes = members
            .iter()
            .map(|Member { node, address }| json!({ "node": node, "address": address }));
        let keys = ClusterKeys::new(self.cluster.as_str());
        let documents = self.client.list(&keys.nodes(), None).await?.value;
        let documents = documents.iter();
        let documents = documents.map(|entry| serde_json::from_slice(&entry.value).ok());
        let overview = json!({
            "cluster": self.cluster,
            "nodes": nodes.collect::<Vec<_>>(),
            "documents": documents.collect::<Vec<Option<Value>>>(),
        });
        Ok(ClusterPart { members, overview })
    }

    /// The names of the streams that have a manifest.
    async fn streams(&self) -> Result<Vec<String>, consul::Error> {
        let keys = ClusterKeys::new(self.cluster.as_str());
        let entries = self.client.list(&keys.wanted(), None).await?.value;
        let names = entries
            .iter()
            .filter_map(|entry| keys.stream_of_plugin(&entry.key));
        Ok(names.map(str::to_owned).collect())
    }

    async fn plugin(&self, stream: &str) -> Result<PluginView, consul::Error> {
        let keys = ClusterKeys::new(self.cluster.as_str()).stream(stream);
        let (asked, active, changes) = tokio::try_join!(
            self.client.read(&keys.plugin, None),
            self.client.read(&keys.active, None),
            history::read(&self.client, &keys.history),
        )?;
        let active = active.value;
        let changes = changes.into_iter();
        Ok(PluginView {
            asked: asked.value.map(|entry| Asked {
                index: entry.modify_index,
                manifest: String::from_utf8_lossy(&entry.value).trim().to_owned(),
            }),
            active: active.and_then(|entry| serde_json::from_slice(&entry.value).ok()),
            history: changes
                .map(|(number, entry)| Change { number, entry })
                .collect(),
            rollback: None,
        })
    }
}
