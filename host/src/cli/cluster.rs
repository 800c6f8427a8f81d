//! The cluster that a command is about, and its leader according to Consul.

use std::ops::Deref;
use std::path::PathBuf;

use clap::Args;

use crate::peer::node_name;
use crate::tls::{PeerTls, TlsError};
use sluice_consul::{Client, Error};
use sluice_types::documents::LeaderAddress;
use sluice_types::keys::{ClusterKeys, StreamKeys};
use sluice_types::stream::{BadStreamName, DEFAULT_STREAM, check_name};

/// Flags that tell how to find a cluster's nodes, and which of its streams a command is
/// about.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ClusterArgs {
    #[command(flatten)]
    nodes: NodesArgs,

    /// The stream
    #[arg(long, env = "SLUICE_STREAM", default_value = DEFAULT_STREAM, value_parser = stream_name)]
    pub(super) stream: String,
}

/// Flags that tell how to find a cluster's nodes.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct NodesArgs {
    /// The cluster's name
    #[arg(long = "cluster", env = "SLUICE_CLUSTER", default_value = "sluice")]
    pub(super) name: String,

    /// The key of the lock of the default stream [default: the cluster's name and /leader]
    #[arg(long, env = "SLUICE_LEADER_KEY")]
    leader_key: Option<String>,

    /// The nodes serve HTTPS
    #[arg(long, env = "SLUICE_NODE_TLS")]
    pub(super) tls: bool,

    /// The only authorities (PEM) that the nodes' certificates may come from [default: those of
    /// the system]
    #[arg(long, env = "SLUICE_CACERT", value_name = "FILE")]
    cacert: Option<PathBuf>,

    /// Ask this node, such as https://node-a:3000, by its routes for people, instead of the nodes
    /// that Consul names [default: with --token-file, the leader that Consul names]
    #[arg(long, env = "SLUICE_URL", value_name = "URL")]
    pub(super) url: Option<String>,

    /// A file with a token of the nodes' --tokens, which is sent instead of signing with the
    /// cluster's secret from Consul
    #[arg(long, env = "SLUICE_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

impl Deref for ClusterArgs {
    type Target = NodesArgs;

    fn deref(&self) -> &NodesArgs {
        &self.nodes
    }
}

impl NodesArgs {
    /// The same for a command about this stream.
    pub(super) fn of(&self, stream: &str) -> ClusterArgs {
        ClusterArgs {
            nodes: self.clone(),
            stream: stream.to_owned(),
        }
    }

    /// How the nodes are reached. `--cacert` implies HTTPS.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub(super) fn peer_tls(&self) -> Result<PeerTls, TlsError> {
        PeerTls::new(self.is_https(), self.cacert.as_deref())
    }

    /// The scheme of the nodes' URLs.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.is_https() { "https" } else { "http" }
    }

    const fn is_https(&self) -> bool {
        self.tls || self.cacert.is_some()
    }
}

impl ClusterArgs {
    /// The leader; `None` while nobody holds the lock.
    ///
    /// # Errors
    /// Consul gives no usable answer.
    pub(super) async fn leader(&self, consul: &Client) -> Result<Option<LeaderAddress>, Error> {
        let keys = self.of_stream().keys();
        let own = self.leader_key.clone();
        let own = own.filter(|_| self.stream == DEFAULT_STREAM);
        leader(consul, &own.unwrap_or(keys.leader)).await
    }

    /// The stream that the command is about.
    pub(super) fn of_stream(&self) -> StreamOf<'_> {
        StreamOf {
            cluster: &self.name,
            stream: &self.stream,
        }
    }

    /// The same with the name under which the leader is registered. The lock's
    /// key may hold a bare host, without the node's name.
    ///
    /// # Errors
    /// Consul gives no usable answer.
    pub(super) async fn named_leader(
        &self,
        consul: &Client,
    ) -> Result<Option<LeaderAddress>, Error> {
        let Some(leader) = self.leader(consul).await? else {
            return Ok(None);
        };
        let instances = consul.instances(&self.name, None).await?.value;
        let mut instances = instances.iter();
        let found = instances.find(|instance| instance.host_and_port() == leader.address);
        let node = found.map(|instance| node_name(&self.name, instance).to_owned());
        Ok(Some(LeaderAddress {
            node: node.unwrap_or(leader.node),
            address: leader.address,
        }))
    }
}

/// A stream of a cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamOf<'a> {
    pub(super) cluster: &'a str,
    pub(super) stream: &'a str,
}

impl StreamOf<'_> {
    /// Its keys.
    pub(super) fn keys(&self) -> StreamKeys {
        ClusterKeys::new(self.cluster).stream(self.stream)
    }

    /// The key of its manifest.
    pub(super) fn plugin_key(&self) -> String {
        self.keys().plugin
    }
}

/// Reads the name of a stream.
///
/// # Errors
/// No stream can have it.
pub(super) fn stream_name(name: &str) -> Result<String, BadStreamName> {
    check_name(name).map(|()| name.to_owned())
}

/// The leader according to the lock's key; `None` while nobody holds it.
///
/// # Errors
/// Consul gives no usable answer.
pub(super) async fn leader(consul: &Client, key: &str) -> Result<Option<LeaderAddress>, Error> {
    let entry = consul.read(key, None).await?.value;
    let held = entry.filter(|entry| entry.session.is_some());
    Ok(held.and_then(|entry| LeaderAddress::from_value(&entry.value)))
}
