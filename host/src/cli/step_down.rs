//! `sluice step-down`.

mod by_people;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use tokio::time::Instant;

use super::api::ApiClient;
use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::http_client::http_client;
use super::runtime;
use super::secret::signing;
use crate::http::admin::Status;
use crate::peer::wire::StepDownRequest;
use crate::peer::{PeerError, Target, check_successor};
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::documents::NodeDocument;
use sluice_types::keys::ClusterKeys;
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice step-down             the leader finishes its work, and another node takes over
  sluice step-down --to b      b takes over; another node only if b does not within 3 s
  sluice step-down --url https://node-a:3000 --token-file token    without access to Consul

The leader accepts nothing new, finishes what it has within its --drain-timeout, and then releases
the lock. Nothing that was acknowledged is lost. It leads again only if no other node takes the lock
within 10 s, or if the next leader stops.
The exit code is 0 once the next leader serves, 1 if none does in time or it is not the one of --to.";

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long the next leader may take to serve, beyond the drain timeout.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a node may take to answer a request for its status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct StepDownArgs {
    /// The node that should lead next
    #[arg(long, value_name = "NODE")]
    to: Option<String>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, Error)]
enum StepDownError {
    #[error(
        "find the leader of the cluster {0}: there is none at the moment; sluice status shows the \
         nodes"
    )]
    NoLeader(String),
    #[error("find the leader's epoch: the key {0} in Consul holds none")]
    NoEpoch(String),
    #[error(
        "ask the leader {node} to step down: it cannot be reached at {address} from here; run this \
         where it can be reached, or stop its process with SIGTERM, which also changes the leader"
    )]
    Unreachable {
        node: String,
        address: String,
        #[source]
        cause: PeerError,
    },
    #[error(
        "see another node lead within {} s: {seen}; sluice status shows the nodes",
        .waited.as_secs()
    )]
    NoLeaderInTime { waited: Duration, seen: String },
    #[error("make {wanted} the leader: it did not take the lock in time, and {took} leads now")]
    AnotherLeads { wanted: String, took: String },
}

pub(super) fn run(args: &StepDownArgs) -> Result<ExitCode, Failure> {
    runtime::block_on(step_down(args))
}

async fn step_down(args: &StepDownArgs) -> Result<ExitCode, Failure> {
    if let Some(api) = ApiClient::open(&args.cluster).await? {
        return by_people::step_down(args, &api).await;
    }
    let consul = Client::new(consul::Config::from_env()?)?;
    let observer = Observer::new(&args.cluster, &consul)?;
    let found = args.cluster.leader(&consul).await?;
    let found = found.ok_or_else(|| StepDownError::NoLeader(args.cluster.name.clone()))?;
    let nodes = nodes(&consul, &args.cluster.name).await?;
    // The lock's key may hold a bare host, without the node's name.
    let is_it = |node: &&NodeDocument| node.address == found.address;
    let name = nodes.iter().find(is_it).map_or(&found.node, |n| &n.node);
    let name = name.clone();
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
    report(args, &name, (&next.node, next.epoch), started)
}

/// Says who leads now, after this node was asked.
///
/// # Errors
/// It is not the node that should.
fn report(
    args: &StepDownArgs,
    before: &str,
    (node, epoch): (&str, u64),
    started: Instant,
) -> Result<ExitCode, Failure> {
    let took = started.elapsed().as_millis();
    match &args.to {
        Some(wanted) if wanted != node => Err(StepDownError::AnotherLeads {
            wanted: wanted.clone(),
            took: node.to_owned(),
        }
        .into()),
        _ => {
            let (node, before) = (readable::source(node), readable::source(before));
            println!("{node} leads now, epoch {epoch}, {took} ms after {before} was asked");
            Ok(ExitCode::SUCCESS)
        }
    }
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

/// The epoch of the tenure that is to end. If another begins meanwhile, the node
/// refuses to end that one.
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
                Ok(status) if status.role == "leader" && status.epoch > epoch => {
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
            "{}://{}/api/v1/status",
            self.cluster.scheme(),
            found.address
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
