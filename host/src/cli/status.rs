//! `sluice status`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::http_client::http_client;
use super::json;
use super::runtime;
use crate::http::admin::{StallStatus, Status};
use crate::peer::node_name;
use sluice_consul as consul;
use sluice_consul::{Client, Instance};
use sluice_types::documents::LeaderAddress;
use sluice_types::keys::ClusterKeys;
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice status                      a table of the nodes
  sluice status --json | jq .leader  the same as JSON
  sluice status --watch              repeat every second

The exit code is 0 if there is a leader that may acknowledge, else 1.";

/// How long a node may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Repeat every second until interrupted
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Serialize)]
struct Overview {
    cluster: String,
    leader: Option<LeaderAddress>,
    epoch: u64,
    nodes: Vec<NodeRow>,
}

#[derive(Debug, Serialize)]
struct NodeRow {
    node: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Box<Status>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        let consul = Client::new(consul::Config::from_env()?)?;
        let http = http_client(&args.cluster.peer_tls()?, ANSWER_TIMEOUT)?;
        loop {
            let overview = overview(args, &consul, &http).await?;
            if args.json {
                json::print(&overview)?;
            } else {
                print!("{}", table(&overview));
            }
            if !args.watch {
                let leads = |row: &NodeRow| row.status.as_ref().is_some_and(|s| s.role == "leader");
                let ok = overview.nodes.iter().any(leads);
                return Ok(if ok {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                });
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

async fn overview(
    args: &StatusArgs,
    consul: &Client,
    http: &reqwest::Client,
) -> Result<Overview, consul::Error> {
    let cluster = &args.cluster.name;
    let leader = args.cluster.leader(consul).await?;
    let epoch = consul
        .read(&ClusterKeys::new(cluster).epoch(), None)
        .await?
        .value;
    let epoch = epoch.and_then(|entry| String::from_utf8(entry.value).ok()?.trim().parse().ok());
    let mut instances = consul.instances(cluster, None).await?.value;
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    let rows = instances
        .iter()
        .map(|instance| row(&args.cluster, http, instance));
    let nodes = join_all(rows).await;
    Ok(Overview {
        cluster: cluster.clone(),
        leader,
        epoch: epoch.unwrap_or(0),
        nodes,
    })
}

async fn row(cluster: &ClusterArgs, http: &reqwest::Client, instance: &Instance) -> NodeRow {
    let node = node_name(&cluster.name, instance).to_owned();
    let address = instance.host_and_port();
    let scheme = cluster.scheme();
    let asked = async {
        let url = format!("{scheme}://{address}/api/v1/status");
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

/// What is wrong with a node.
fn notes(error: Option<&String>, status: Option<&Status>) -> Vec<String> {
    let plugin = status.and_then(|status| status.plugin.error.clone());
    let stall = status.and_then(|status| status.delivery.stalled.as_ref());
    let stalled = stall.map(StallStatus::to_string);
    [error.cloned(), plugin, stalled]
        .into_iter()
        .flatten()
        .collect()
}

fn table(overview: &Overview) -> String {
    let mut rows = vec![
        [
            "NODE",
            "ADDRESS",
            "ROLE",
            "EPOCH",
            "PLUGIN",
            "STATE",
            "QUEUE",
            "ACKNOWLEDGED",
        ]
        .map(str::to_owned),
    ];
    for NodeRow {
        node,
        address,
        status,
        error,
    } in &overview.nodes
    {
        let mut row = [node.as_str(), address, "?", "", "", "", "", ""].map(str::to_owned);
        if let (Some(status), [_, _, role, epoch, plugin, state, queue, acknowledged]) =
            (status, &mut row)
        {
            role.clone_from(&status.role);
            *epoch = status.epoch.to_string();
            plugin.clone_from(&status.plugin.active.name.source);
            *state = status.plugin.active.state.name().to_owned();
            *queue = status.queue.records.to_string();
            *acknowledged = status.counters.acknowledged.to_string();
        }
        rows.push(row);
        for note in notes(error.as_ref(), status.as_deref()) {
            rows.push(["", &note, "", "", "", "", "", ""].map(str::to_owned));
        }
    }
    let mut text = match &overview.leader {
        Some(leader) => format!(
            "cluster {}: {} leads at {}, epoch {}\n\n",
            overview.cluster,
            readable::source(&leader.node),
            readable::source(&leader.address),
            overview.epoch
        ),
        None => format!(
            "cluster {}: no leader, epoch {}\n\n",
            overview.cluster, overview.epoch
        ),
    };
    text.push_str(&super::table::align(&rows));
    if overview.nodes.is_empty() {
        text.push_str("no node is registered; start one with: sluice node\n");
    }
    text
}
