//! Where `sluice tail` gets records from: a node, whichever is there.

use std::time::Duration;

use tokio::time::timeout;

use super::error::TailError;
use crate::cli::api::ApiClient;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::secret::signing;
use crate::peer::{Subscription, TailRequest, Target, node_name};
use crate::tail::Splitter;
use sluice_consul::{Client, Config};
use sluice_types::readable;

/// The time for a node to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A node that sends nothing for this long is gone: it sends something every 5 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);

/// A node that is asked.
pub(in crate::cli) struct Source {
    /// Its name, fit for a terminal.
    pub(super) node: String,
    subscription: Subscription,
    splitter: Splitter,
}

impl Source {
    /// Asks the node that is wanted, or else the leader, or else any node.
    ///
    /// # Errors
    /// Consul or the node gives no usable answer.
    pub(in crate::cli) async fn open(
        cluster: &ClusterArgs,
        wanted: Option<&str>,
        request: &TailRequest,
    ) -> Result<Self, Failure> {
        if let Some(api) = ApiClient::open_at(cluster, wanted).await? {
            return Self::of_people(&api, request).await;
        }
        let consul = Client::new(Config::from_env()?)?;
        let client = signing(&consul, cluster).await?;
        let (name, address) = choose(cluster, &consul, wanted).await?;
        let node = readable::source(&name);
        let target = Target {
            node: &name,
            address: &address,
        };
        let answer = timeout(ANSWER_LIMIT, client.tail(target, request)).await;
        let answer = answer.map_err(|_| TailError::Slow(node.clone()))?;
        Ok(Self {
            subscription: answer?,
            node,
            splitter: Splitter::default(),
        })
    }

    /// Asks a node by its route for people.
    async fn of_people(api: &ApiClient, request: &TailRequest) -> Result<Self, Failure> {
        let node = api.base();
        let answer = timeout(ANSWER_LIMIT, api.tail(request)).await;
        let answer = answer.map_err(|_| TailError::Slow(node.clone()))?;
        Ok(Self {
            subscription: answer?,
            node,
            splitter: Splitter::default(),
        })
    }

    /// The next whole events; `None` if the node has ended.
    ///
    /// # Errors
    /// The node cannot be heard any more.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<String>, Failure> {
        let part = timeout(SILENCE_LIMIT, self.subscription.next()).await;
        let part = part.map_err(|_| TailError::Silent(self.node.clone()))?;
        let Some(part) = part? else { return Ok(None) };
        let unreadable = || TailError::Unreadable(self.node.clone());
        let whole = self.splitter.push(&part).map_err(|_| unreadable())?;
        Ok(Some(String::from_utf8(whole).map_err(|_| unreadable())?))
    }
}

/// The name and the address of a node.
async fn choose(
    cluster: &ClusterArgs,
    consul: &Client,
    wanted: Option<&str>,
) -> Result<(String, String), Failure> {
    if wanted.is_none()
        && let Some(leader) = cluster.named_leader(consul).await?
    {
        return Ok((leader.node, leader.address));
    }
    let instances = consul.instances(&cluster.name, None).await?.value;
    let name = |instance| node_name(&cluster.name, instance);
    let mut nodes = instances.iter();
    let found = nodes.find(|instance| wanted.is_none_or(|wanted| name(instance) == wanted));
    let found = found.ok_or_else(|| match wanted {
        Some(wanted) if !instances.is_empty() => {
            let mut names: Vec<_> = instances.iter().map(name).collect();
            names.sort_unstable();
            TailError::NoSuchNode {
                wanted: readable::source(wanted),
                names: readable::source(&names.join(", ")),
            }
        }
        _ => TailError::NoNode(readable::source(&cluster.name)),
    })?;
    Ok((name(found).to_owned(), found.host_and_port()))
}
