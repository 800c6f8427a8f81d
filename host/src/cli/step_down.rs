//! `sluice step-down`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use tokio::time::Instant;

use super::Failure;
use super::cluster::ClusterArgs;
use super::secret::signing;
use crate::http::admin::Status;
use crate::peer::PeerError;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_leadership::NodeState;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice step-down             the leader finishes what it has, and another node takes over
  sluice step-down --to b      b takes over; any other only if b does not within 3 s

The leader takes nothing new in, finishes what it has for at most its --drain-timeout, and then
lets go of the lock. Nothing that was acknowledged is lost. It leads again only if no other node
takes the lock within 10 s, or once that one ends.
The exit code is 0 once the next leader serves, 1 if there is none in time or another than --to.";

const LOOK: Duration = Duration::from_millis(10);
/// How long the next leader may take, beyond the drain timeout.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// How long a node may take to say how it is.
const ANSWER: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct StepDownArgs {
    /// The node that is to lead next
    #[arg(long, value_name = "NODE")]
    to: Option<String>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, Error)]
enum StepDownError {
    #[error("set up an HTTP client")]
    Http(#[source] reqwest::Error),
    #[error(
        "find the leader of the cluster {0}: there is none at the moment; sluice status shows the \
         nodes"
    )]
    NoLeader(String),
    #[error("hand over to {wanted}: there is no such node; there are {there_are}")]
    NoSuchNode { wanted: String, there_are: String },
    #[error("hand over to {0}: it leads already")]
    LeadsAlready(String),
    #[error("hand over to {node}: it is not ready to lead: {why}; sluice plugin status shows more")]
    NotReady { node: String, why: String },
    #[error(
        "hand over: no other node is ready to lead; start one, or see with sluice plugin status \
         what keeps those that there are"
    )]
    NobodyReady,
    #[error(
        "ask the leader {node} to step down: it can not be reached at {address} from here; run this \
         where it can be, or end its process with SIGTERM, which hands over too"
    )]
    Unreachable {
        node: String,
        address: String,
        #[source]
        cause: PeerError,
    },
    #[error(
        "see another node lead within {} s of the leader's end, at last: {seen}; sluice status \
         shows the nodes", .waited.as_secs()
    )]
    NobodyTook { waited: Duration, seen: String },
    #[error("hand over to {wanted}: it did not take the lock in time, and {took} leads now")]
    AnotherTook { wanted: String, took: String },
}

pub(super) fn run(args: &StepDownArgs) -> Result<ExitCode, Failure> {
    super::on_runtime(hand_over(args))
}

async fn hand_over(args: &StepDownArgs) -> Result<ExitCode, Failure> {
    let consul = Client::new(consul::Config::from_env()?)?;
    let onlooker = Onlooker::new(&args.cluster, &consul)?;
    let found = args.cluster.leader(&consul).await?;
    let found = found.ok_or_else(|| StepDownError::NoLeader(args.cluster.name.clone()))?;
    let nodes = nodes(&consul, &args.cluster.name).await?;
    // The key may hold a bare host.
    let is_it = |node: &&NodeState| node.address == found.address;
    let name = nodes.iter().find(is_it).map_or(&found.node, |n| &n.node);
    let name = name.clone();
    choose(args.to.as_deref(), &name, &nodes)?;
    let client = signing(&consul, &args.cluster).await?;
    let started = Instant::now();
    let asked = client.step_down(&found.address, args.to.clone()).await;
    let asked = asked.map_err(|error| match error {
        cause @ PeerError::Transport { .. } => StepDownError::Unreachable {
            node: name.clone(),
            address: found.address.clone(),
            cause,
        }
        .into(),
        error => Failure::from(error),
    })?;
    let waited = Duration::from_millis(asked.drain_ms) + TAKE_OVER;
    let next = onlooker.next_leader(asked.epoch, started + waited).await;
    let next = next.map_err(|seen| StepDownError::NobodyTook { waited, seen })?;
    let took = started.elapsed().as_millis();
    let (node, epoch) = (&next.node, next.epoch);
    match &args.to {
        Some(wanted) if wanted != node => Err(StepDownError::AnotherTook {
            wanted: wanted.clone(),
            took: node.clone(),
        }
        .into()),
        _ => {
            println!("{node} leads now, epoch {epoch}, {took} ms after {name} was asked");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn nodes(consul: &Client, cluster: &str) -> Result<Vec<NodeState>, consul::Error> {
    let entries = consul.list(&format!("{cluster}/nodes/"), None).await?.value;
    let states = entries.iter();
    Ok(states
        .filter_map(|entry| serde_json::from_slice(&entry.value).ok())
        .collect())
}

/// Whether there is a node to hand over to.
fn choose(to: Option<&str>, leader: &str, nodes: &[NodeState]) -> Result<(), StepDownError> {
    let Some(wanted) = to else {
        let is_ready = |node: &NodeState| node.node != leader && node.able;
        return match nodes.iter().any(is_ready) {
            true => Ok(()),
            false => Err(StepDownError::NobodyReady),
        };
    };
    if wanted == leader {
        return Err(StepDownError::LeadsAlready(wanted.to_owned()));
    }
    let Some(found) = nodes.iter().find(|node| node.node == wanted) else {
        let names: Vec<_> = nodes.iter().map(|node| node.node.as_str()).collect();
        return Err(StepDownError::NoSuchNode {
            wanted: wanted.to_owned(),
            there_are: names.join(", "),
        });
    };
    if !found.able {
        let why = found.error.clone();
        return Err(StepDownError::NotReady {
            node: wanted.to_owned(),
            why: why.unwrap_or_else(|| "its sink is still being prepared".to_owned()),
        });
    }
    Ok(())
}

/// Looks who leads, and whether it serves.
struct Onlooker<'a> {
    cluster: &'a ClusterArgs,
    consul: &'a Client,
    http: reqwest::Client,
}

impl<'a> Onlooker<'a> {
    fn new(cluster: &'a ClusterArgs, consul: &'a Client) -> Result<Self, StepDownError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()
            .map_err(StepDownError::Http)?;
        Ok(Self {
            cluster,
            consul,
            http,
        })
    }

    /// The node that serves under a later epoch, or what there was instead.
    async fn next_leader(&self, epoch: u64, deadline: Instant) -> Result<Status, String> {
        loop {
            let seen = match self.look().await {
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
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the node says of itself that leads by the key.
    async fn look(&self) -> Result<Status, String> {
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
            .map_err(|_| format!("{} holds the lock and does not answer", found.node))?;
        serde_json::from_slice(&body).map_err(|error| format!("not a status: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, error: Option<&str>) -> NodeState {
        NodeState {
            epoch: 0,
            node: name.to_owned(),
            address: String::new(),
            able: error.is_none(),
            error: error.map(str::to_owned),
        }
    }

    fn chosen(to: Option<&str>, others: &[NodeState]) -> String {
        let nodes = [&[node("a", None)], others].concat();
        choose(to, "a", &nodes).map_or_else(|error| error.to_string(), |()| "ready".to_owned())
    }

    #[test]
    fn a_hand_over_wants_a_node_that_is_ready() {
        let others = [node("b", None), node("c", Some("no file"))];
        assert_eq!(chosen(None, &others), "ready");
        assert_eq!(chosen(Some("b"), &others), "ready");
        assert!(chosen(None, &others[1..]).contains("no other node is ready"));
        assert!(chosen(Some("a"), &others).contains("leads already"));
        assert!(chosen(Some("c"), &others).contains("not ready to lead: no file"));
        assert!(chosen(Some("d"), &others).contains("there are a, b, c"));
    }
}
