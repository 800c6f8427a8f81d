//! `sluice rejects`: what decoders of all nodes rejected lately.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::api::{ApiClient, warn_of};
use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::nodes::Nodes;
use super::{json, runtime, table, units};
use crate::http::cluster::{LISTED_MAX, RejectList};
use crate::peer::{PeerClient, Target};
use crate::rejects::Reject;
use sluice_access::Scope;
use sluice_types::readable;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice rejects                                   what is kept on all nodes, oldest first
  sluice rejects --client 192.0.2.7 --since 10m
  sluice rejects --json | jq -r .client | sort | uniq -c

A reject is what a client sent and no decoder could read, with its first KiB. Each node keeps the
last 1000 in memory, at most 100 of one client, and forgets them when it ends. Records that the
sink refused are dead letters (sluice dlq).";

/// The most characters of a cell.
const MAX_CELL: usize = 60;

#[derive(Debug, Args)]
pub(super) struct RejectsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Only what came from this address
    #[arg(long)]
    client: Option<IpAddr>,

    /// Only what came by this protocol, such as gelf or otlp
    #[arg(long)]
    protocol: Option<String>,

    /// Only what is not older than this: 90s, 2h, 3d, or a time like 2026-11-20T09:00:00Z
    #[arg(long, value_parser = units::since)]
    since: Option<Timestamp>,

    /// Only rejects whose reason contains this text
    #[arg(long)]
    reason: Option<String>,

    /// Only rejects of this node
    #[arg(long)]
    node: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// A reject, and the node that has it.
#[derive(Serialize)]
struct Found {
    node: String,
    #[serde(flatten)]
    reject: Reject,
}

pub(super) fn run(args: &RejectsArgs) -> Result<ExitCode, Failure> {
    runtime::block_on(args.run())
}

impl RejectsArgs {
    async fn run(&self) -> Result<ExitCode, Failure> {
        let (found, is_complete) = self.find().await?;
        if self.json {
            for found in &found {
                json::print(found)?;
            }
        } else {
            print!("{}", list(&found));
            eprintln!("{} rejects", found.len());
        }
        Ok(match is_complete {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    /// The rejects of all nodes, oldest first, and whether every node answered.
    async fn find(&self) -> Result<(Vec<Found>, bool), Failure> {
        if let Some(api) = ApiClient::open(&self.cluster).await? {
            return self.find_by(&api).await;
        }
        let nodes = Nodes::open(&self.cluster).await?;
        let is_wanted = |node: &str| self.node.as_ref().is_none_or(|wanted| wanted == node);
        let mut all = Vec::new();
        let ask = async |client: &PeerClient, target: Target<'_>| client.rejects(target).await;
        let add = |Target { node, .. }: Target<'_>, rejects: Vec<Reject>| {
            let admitted = rejects.into_iter().filter(|reject| self.admits(reject));
            all.extend(admitted.map(|reject| Found {
                node: node.to_owned(),
                reject,
            }));
        };
        let is_complete = nodes.ask(is_wanted, ask, add).await?;
        // Those of one node keep their order.
        all.sort_by(|one, other| one.reject.time.cmp(&other.reject.time));
        Ok((all, is_complete))
    }

    /// The same by the route for people.
    async fn find_by(&self, api: &ApiClient) -> Result<(Vec<Found>, bool), Failure> {
        let limit = [("limit", LISTED_MAX.to_string())];
        let list: RejectList = api.get("/api/v1/rejects", &limit, Scope::Read).await?;
        if list.rejects.len() == LISTED_MAX {
            eprintln!("sluice: only the latest {LISTED_MAX} rejects are looked at");
        }
        warn_of(&list.errors);
        let is_of = |node: &str| self.node.as_ref().is_none_or(|wanted| wanted == node);
        let found = list.rejects.into_iter().rev();
        let found = found.filter(|found| is_of(&found.node) && self.admits(&found.reject));
        let found = found.map(|found| Found {
            node: found.node,
            reject: found.reject,
        });
        Ok((found.collect(), list.errors.is_empty()))
    }

    fn admits(&self, reject: &Reject) -> bool {
        let is_recent = |since: &Timestamp| {
            let time = reject.time.parse::<Timestamp>();
            time.is_ok_and(|time| time >= *since)
        };
        let is_of = |wanted: &IpAddr| reject.client == Some(wanted.to_canonical());
        self.client.as_ref().is_none_or(is_of)
            && self.since.as_ref().is_none_or(is_recent)
            && self
                .protocol
                .as_ref()
                .is_none_or(|wanted| *wanted == reject.protocol)
            && self
                .reason
                .as_ref()
                .is_none_or(|part| reject.reason.contains(part))
    }
}

fn list(found: &[Found]) -> String {
    let head = [
        "TIME",
        "NODE",
        "PROTOCOL",
        "CLIENT",
        "REASON",
        "BEGINS WITH",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for Found { node, reject } in found {
        let client = reject.client.map(|client| client.to_string());
        let source = reject.text.as_ref().or(reject.base64.as_ref());
        rows.push([
            reject.time.clone(),
            node.clone(),
            reject.protocol.clone(),
            client.unwrap_or_default(),
            readable::line(&reject.reason, MAX_CELL),
            source.map_or_else(String::new, |source| readable::line(source, MAX_CELL)),
        ]);
    }
    table::align(&rows)
}
