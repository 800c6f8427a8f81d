//! `sluice stream list`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::api::ApiClient;
use crate::cli::cluster::NodesArgs;
use crate::cli::failure::Failure;
use crate::cli::{json, table};
use crate::http::admin::{StreamDocument, StreamsDocument};
use sluice_access::Scope;
use sluice_types::stream::DEFAULT_STREAM;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice stream list
  sluice stream list --json | jq -r '.streams[] | select(.leader == null).name'

ABLE is how many of the nodes that are alive can lead the stream: they have its sink.
The exit code is 0 if every stream has a leader, else 1.";

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    nodes: NodesArgs,
}

impl ListArgs {
    pub(super) async fn run(&self) -> Result<ExitCode, Failure> {
        let api = ApiClient::find(&self.nodes.of(DEFAULT_STREAM), None).await?;
        let list: StreamsDocument = api.get("/api/v1/streams", &[], Scope::Read).await?;
        match self.json {
            true => json::print(&list)?,
            false => print!("{}", table::align(&rows(&list.streams))),
        }
        Ok(match list.streams.iter().all(|it| it.leader.is_some()) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

fn rows(streams: &[StreamDocument]) -> Vec<[String; 5]> {
    let mut rows = vec![["STREAM", "LEADER", "EPOCH", "ABLE", "SINK"].map(str::to_owned)];
    let none = || "-".to_owned();
    for stream in streams {
        let leader = stream.leader.as_ref().map(|leader| leader.node.clone());
        let sink = stream.sink.as_ref().map(|sink| sink.source.clone());
        let epoch = stream.tenure.map(|epoch| epoch.to_string());
        rows.push([
            stream.name.clone(),
            leader.unwrap_or_else(none),
            epoch.unwrap_or_else(none),
            format!("{}/{}", stream.able.len(), stream.nodes),
            sink.unwrap_or_else(none),
        ]);
    }
    rows
}
