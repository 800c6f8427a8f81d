//! By the lock in Consul and the cluster's secret.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use super::args::StepDownArgs;
use super::error::StepDownError;
use super::report::{TAKE_OVER_TIMEOUT, report};
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::http_client::http_client;
use crate::cli::overview::status_path;
use crate::cli::secret::signing;
use crate::http::admin::Status;
use crate::peer::wire::StepDownRequest;
use crate::peer::{PeerError, Target, check_successor};
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::documents::NodeDocument;
use sluice_types::keys::ClusterKeys;
use sluice_types::readable;
use sluice_types::stream::DEFAULT_STREAM;

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long a node may take to answer a request for its status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the leader that Consul names, with the cluster's secret, and waits until another
/// one leads.
///
/// # Errors
/// Consul gives no usable answer, the leader does not do it, or no other one leads in
/// time.
pub(super) async fn step_down(args: &StepDownArgs) -> Result<ExitCode, Failure> {
    let consul = Client::new(consul::Config::from_env()?)?;
    let observer = Observer::new(&args.cluster, &consul)?;
    check_stream(&consul, &args.cluster).await?;
    let found = args.cluster.leader(&consul).await?;
    let found = found.ok_or_else(|| StepDownError::no_leader(&args.cluster))?;
    let all = nodes(&consul, &args.cluster.name).await?;
    // The lock's key may hold a bare host, without the node's name.
    let is_it = |node: &&NodeDocument| node.address == found.address;
    let name = all.iter().find(is_it).map_or(&found.node, |n| &n.node);
    let name = name.clone();
    let nodes = all.iter();
    let nodes: Vec<_> = nodes
        .filter_map(|node| node.for_stream(&args.cluster.stream))
        .collect();
    check_successor(args.to.as_deref(), &name, &nodes)?;
    let client = signing(&consul, &args.cluster).await?;
    let request = StepDownRequest {
        to: args.to.clone(),
        epoch: epoch(&consul, &args.cluster.name).await?,
    };
    let target = Target {
        node: &name,
        address: &found.address,
    };
    let started = Instant::now();
    let asked = client.step_down(target, &request).await;
    let asked = asked.map_err(|error| match error {
        cause @ (PeerError::Transport { .. } | PeerError::Probe { .. }) => {
            StepDownError::Unreachable {
                node: name.clone(),
                address: found.address.clone(),
                cause,
            }
            .into()
        }
        error => Failure::from(error),
    })?;
    let waited = Duration::from_millis(asked.drain_ms) + TAKE_OVER_TIMEOUT;
    let next = observer.next_leader(asked.epoch, started + waited).await;
    let next = next.map_err(|seen| StepDownError::NoLeaderInTime { waited, seen })?;
    let epoch = next.leads_under().unwrap_or(next.epoch);
    report(args, &name, (&next.node, epoch), started)
}

/// Checks that there is such a stream.
async fn check_stream(consul: &Client, args: &ClusterArgs) -> Result<(), Failure> {
    let stream = args.of_stream();
    if stream.stream == DEFAULT_STREAM {
        return Ok(());
    }
    let keys = ClusterKeys::new(stream.cluster);
    let written = consul.list(&keys.wanted(), None).await?.value;
    let others = written
        .iter()
        .filter_map(|entry| keys.stream_of_plugin(&entry.key));
    let mut names: Vec<_> = others.map(readable::source).collect();
    if names.iter().any(|name| name == stream.stream) {
        return Ok(());
    }
    names.insert(0, DEFAULT_STREAM.to_owned());
    Err(StepDownError::NoStream {
        stream: stream.stream.to_owned(),
        names: names.join(", "),
    }
    .into())
}

async fn nodes(consul: &Client, cluster: &str) -> Result<Vec<NodeDocument>, consul::Error> {
    let entries = consul
        .list(&ClusterKeys::new(cluster).nodes(), None)
        .await?
        .value;
    let states = entries.iter();
    Ok(states
        .filter_map(|entry| serde_json::from_slice(&entry.value).ok())
        .collect())
}

/// The latest epoch of the cluster. If another tenure of the stream begins meanwhile, the
/// node refuses to end that one.
async fn epoch(consul: &Client, cluster: &str) -> Result<u64, Failure> {
    let key = ClusterKeys::new(cluster).epoch();
    let entry = consul.read(&key, None).await?.value;
    let value = entry.and_then(|entry| String::from_utf8(entry.value).ok());
    let epoch = value.and_then(|value| value.trim().parse().ok());
    Ok(epoch.ok_or(StepDownError::NoEpoch(key))?)
}

/// Observes which node leads, and whether it serves.
struct Observer<'a> {
    cluster: &'a ClusterArgs,
    consul: &'a Client,
    http: reqwest::Client,
}

impl<'a> Observer<'a> {
    fn new(cluster: &'a ClusterArgs, consul: &'a Client) -> Result<Self, Failure> {
        Ok(Self {
            cluster,
            consul,
            http: http_client(&cluster.peer_tls()?, STATUS_TIMEOUT)?,
        })
    }

    /// Waits for a leader with a later epoch. The error says what was seen last.
    async fn next_leader(&self, epoch: u64, deadline: Instant) -> Result<Status, String> {
        loop {
            let seen = match self.leader_status().await {
                Ok(status) if status.leads_under().is_some_and(|later| later > epoch) => {
                    return Ok(status);
                }
                Ok(status) => format!(
                    "{} is {} under epoch {}",
                    status.node, status.role, status.epoch
                ),
                Err(why) => why,
            };
            if Instant::now() > deadline {
                return Err(seen);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The status of the node that holds the lock, as the node gives it.
    async fn leader_status(&self) -> Result<Status, String> {
        let found = self.cluster.leader(self.consul).await;
        let found = found.map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| "no node holds the lock".to_owned())?;
        let url = format!(
            "{}://{}{}",
            self.cluster.scheme(),
            found.address,
            status_path(&self.cluster.stream)
        );
        let asked = async {
            let answer = self.http.get(url).send().await?.error_for_status()?;
            answer.bytes().await
        };
        let body = asked
            .await
            .map_err(|_| format!("{} holds the lock, but does not answer", found.node))?;
        serde_json::from_slice(&body).map_err(|error| format!("not a status: {error}"))
    }
}
