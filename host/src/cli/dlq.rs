//! `sluice dlq`: the dead letters of all nodes.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::secret::{NoSecret, signing};
use super::{runtime, units};
use crate::peer::PeerClient;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_delivery::{DeadLetters, Letter};
use sluice_types::documents::LeaderAddress;
use sluice_types::error_chain::chain;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice dlq list                                  all dead letters of all nodes
  sluice dlq list --since 2h --reason trapped
  sluice dlq show 3-1742                           one of them, with its record
  sluice dlq replay --plugin file:///plugins/a.wasm
  sluice dlq purge --since 30d --node a
  sluice dlq list --data-dir data/a                of a node that does not run

A dead letter is a record that no sink takes: it broke the sink again and again, or the sink refused
it when its producer could not be told any more. Replay hands records to the leader, and removes the
letters of those that were confirmed.";

/// How many records are replayed at once.
const BATCH: usize = 500;

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters, oldest first
    List(ListArgs),
    /// Show one dead letter as JSON
    Show(ShowArgs),
    /// Hand the records to the leader again, and remove what was confirmed
    Replay(ChosenArgs),
    /// Remove dead letters
    Purge(ChosenArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,

    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// As `sluice dlq list` and the answer to the producer name it
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct ChosenArgs {
    /// These ones; or choose by a filter, or --all
    ids: Vec<String>,

    /// All that there are
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Filter {
    /// Those of this sink, by a part of its source or digest
    #[arg(long)]
    plugin: Option<String>,

    /// Not older than this: 90s, 2h, 3d, or a time like 2026-11-20T09:00:00Z
    #[arg(long, value_parser = since)]
    since: Option<Timestamp>,

    /// Those whose reason holds this text
    #[arg(long)]
    reason: Option<String>,

    /// Those of this node
    #[arg(long)]
    node: Option<String>,
}

#[derive(Debug, Default, Args)]
struct Place {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Read the data directory of a node that does not run, instead of asking the nodes
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Error)]
enum DlqError {
    #[error("find the dead letter {0}; sluice dlq list shows those that there are")]
    Unknown(String),
    #[error("choose dead letters: name some, or use a filter, or --all")]
    NothingChosen,
    #[error("find the leader of the cluster {0}: there is none at the moment")]
    NoLeader(String),
    #[error("find dead letters in {}: there is no such data directory", .0.display())]
    NoDataDir(PathBuf),
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let age = match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        _ => units::duration(text),
    };
    age.ok()
        .and_then(|age| Timestamp::now().checked_sub(age).ok())
        .ok_or_else(|| "expected an age like 90s, 2h or 3d, or a time in RFC 3339".to_owned())
}

/// A letter, and whose it is.
#[derive(Serialize)]
struct Found {
    node: String,
    #[serde(flatten)]
    letter: Letter,
    /// Of the node that has it.
    #[serde(skip)]
    address: String,
}

impl Filter {
    const fn is_empty(&self) -> bool {
        self.plugin.is_none()
            && self.since.is_none()
            && self.reason.is_none()
            && self.node.is_none()
    }

    fn admits(&self, found: &Found) -> bool {
        let Found { node, letter, .. } = found;
        let holds = |wanted: &Option<String>, texts: &[&str]| {
            let is_in = |wanted: &String| texts.iter().any(|text| text.contains(wanted.as_str()));
            wanted.as_ref().is_none_or(is_in)
        };
        let is_recent = |since: &Timestamp| {
            letter
                .time
                .parse::<Timestamp>()
                .is_ok_and(|time| time >= *since)
        };
        holds(
            &self.plugin,
            &[&letter.plugin.source, &letter.plugin.sha256],
        ) && holds(&self.reason, &[&letter.reason])
            && self.since.as_ref().is_none_or(is_recent)
            && self.node.as_ref().is_none_or(|wanted| wanted == node)
    }
}

/// Where the letters are.
enum Post {
    /// On the nodes.
    Nodes(PeerClient),
    /// In this directory.
    Here(DeadLetters),
}

struct Office {
    post: Post,
    consul: Option<Client>,
    place: Place,
    /// Whether every node answered.
    is_complete: bool,
}

pub(super) fn run(command: DlqCommand) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        match command {
            DlqCommand::List(args) => list(args).await,
            DlqCommand::Show(args) => show(args).await,
            DlqCommand::Replay(args) => replay(args).await,
            DlqCommand::Purge(args) => purge(args).await,
        }
    })
}

impl Office {
    async fn open(place: Place, needs_leader: bool) -> Result<Self, Failure> {
        let consul = if place.data_dir.is_none() || needs_leader {
            Some(Client::new(consul::Config::from_env()?)?)
        } else {
            None
        };
        let post = match (&place.data_dir, &consul) {
            (Some(data_dir), _) => {
                let file = data_dir.join("dead-letters");
                if !file.exists() {
                    return Err(DlqError::NoDataDir(data_dir.clone()).into());
                }
                Post::Here(DeadLetters::open(file, u64::MAX)?)
            }
            (None, Some(consul)) => Post::Nodes(signing(consul, &place.cluster).await?),
            (None, None) => return Err(NoSecret(place.cluster.name).into()),
        };
        Ok(Self {
            post,
            consul,
            place,
            is_complete: true,
        })
    }

    /// The letters that the filter admits, oldest first.
    async fn letters(&mut self, filter: &Filter) -> Result<Vec<Found>, Failure> {
        let mut all = Vec::new();
        match (&self.post, &self.consul) {
            (Post::Here(letters), _) => {
                let node = self.place.data_dir.as_ref().and_then(|dir| dir.file_name());
                let node = node.map(|name| name.to_string_lossy().into_owned());
                all.extend(letters.list()?.into_iter().map(|letter| Found {
                    node: node.clone().unwrap_or_default(),
                    letter,
                    address: String::new(),
                }));
            }
            (Post::Nodes(client), Some(consul)) => {
                let cluster = &self.place.cluster.name;
                for instance in consul.instances(cluster, None).await?.value {
                    let prefix = format!("{cluster}-");
                    let node = instance.id.strip_prefix(&prefix).unwrap_or(&instance.id);
                    if filter.node.as_ref().is_some_and(|wanted| wanted != node) {
                        continue;
                    }
                    let address = format!("{}:{}", instance.address, instance.port);
                    match client.dead_letters(&address).await {
                        Ok(letters) => all.extend(letters.into_iter().map(|letter| Found {
                            node: node.to_owned(),
                            letter,
                            address: address.clone(),
                        })),
                        Err(error) => {
                            self.is_complete = false;
                            eprintln!("sluice: {node} is left out: failed to {}", chain(&error));
                        }
                    }
                }
            }
            (Post::Nodes(_), None) => {}
        }
        all.retain(|found| filter.admits(found));
        all.sort_by(|one, other| one.letter.time.cmp(&other.letter.time));
        Ok(all)
    }

    async fn remove(&self, found: &[&Found]) -> Result<u64, Failure> {
        let ids = |address: &str| {
            let of_it = found.iter().filter(|found| found.address == address);
            of_it
                .map(|found| found.letter.id.clone())
                .collect::<Vec<_>>()
        };
        let mut addresses: Vec<_> = found.iter().map(|found| found.address.as_str()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut removed = 0;
        for address in addresses {
            removed += match &self.post {
                Post::Nodes(client) => client.remove(address, &ids(address)).await?,
                Post::Here(letters) => letters.remove(ids(address)).await?,
            };
        }
        Ok(removed)
    }

    const fn code(&self) -> ExitCode {
        if self.is_complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

async fn list(args: ListArgs) -> Result<ExitCode, Failure> {
    let mut office = Office::open(args.place, false).await?;
    let letters = office.letters(&args.filter).await?;
    if args.json {
        for found in &letters {
            println!("{}", serde_json::to_string(found)?);
        }
        return Ok(office.code());
    }
    let mut rows =
        vec![["ID", "NODE", "TIME", "CAUSE", "PLUGIN", "REASON", "BODY"].map(str::to_owned)];
    for Found { node, letter, .. } in &letters {
        rows.push([
            letter.id.clone(),
            node.clone(),
            letter.time.clone(),
            format!("{:?}", letter.cause).to_lowercase(),
            letter.plugin.source.clone(),
            short(&letter.reason),
            short(&letter.record.body),
        ]);
    }
    print!("{}", super::table::align(&rows));
    eprintln!("{} dead letters", letters.len());
    Ok(office.code())
}

async fn show(args: ShowArgs) -> Result<ExitCode, Failure> {
    let mut office = Office::open(args.place, false).await?;
    let everything = Filter {
        plugin: None,
        since: None,
        reason: None,
        node: None,
    };
    let letters = office.letters(&everything).await?;
    let mut those = letters.iter().filter(|found| found.letter.id == args.id);
    let found = those.next().ok_or(DlqError::Unknown(args.id.clone()))?;
    println!("{}", serde_json::to_string_pretty(found)?);
    Ok(ExitCode::SUCCESS)
}

impl ChosenArgs {
    async fn choose(&self, office: &mut Office) -> Result<Vec<Found>, Failure> {
        if self.ids.is_empty() && self.filter.is_empty() && !self.all {
            return Err(DlqError::NothingChosen.into());
        }
        let mut letters = office.letters(&self.filter).await?;
        if let Some(unknown) = self
            .ids
            .iter()
            .find(|id| !letters.iter().any(|found| found.letter.id == **id))
        {
            return Err(DlqError::Unknown(unknown.clone()).into());
        }
        if !self.ids.is_empty() {
            letters.retain(|found| self.ids.contains(&found.letter.id));
        }
        Ok(letters)
    }
}

async fn purge(mut args: ChosenArgs) -> Result<ExitCode, Failure> {
    let place = std::mem::take(&mut args.place);
    let mut office = Office::open(place, false).await?;
    let letters = args.choose(&mut office).await?;
    let removed = office.remove(&letters.iter().collect::<Vec<_>>()).await?;
    println!("removed {removed} dead letters");
    Ok(office.code())
}

async fn replay(mut args: ChosenArgs) -> Result<ExitCode, Failure> {
    let place = std::mem::take(&mut args.place);
    let mut office = Office::open(place, true).await?;
    let letters = args.choose(&mut office).await?;
    let Some(consul) = &office.consul else {
        return Err(DlqError::NoLeader(office.place.cluster.name).into());
    };
    let client = signing(consul, &office.place.cluster).await?;
    let (mut delivered, mut refused) = (0, 0);
    for part in letters.chunks(BATCH) {
        let to = present_leader(consul, &office.place.cluster).await?;
        let records: Vec<_> = part.iter().map(|found| &found.letter.record).collect();
        let taken = client.records(&to.address, &records).await?;
        for rejected in &taken.rejected {
            if let Some(found) = part.get(rejected.index) {
                eprintln!("{}: {}", found.letter.id, rejected.reason);
            }
        }
        let is_rejected = |at: usize| taken.rejected.iter().any(|rejected| rejected.index == at);
        let confirmed: Vec<_> = part
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_rejected(*at))
            .map(|(_, found)| found)
            .collect();
        office.remove(&confirmed).await?;
        delivered += confirmed.len();
        refused += taken.rejected.len();
        progress(delivered + refused, letters.len());
    }
    println!("replayed {delivered} of {} dead letters", letters.len());
    Ok(if refused == 0 {
        office.code()
    } else {
        ExitCode::FAILURE
    })
}

async fn present_leader(consul: &Client, cluster: &ClusterArgs) -> Result<LeaderAddress, Failure> {
    let found = cluster.leader(consul).await?;
    found.ok_or_else(|| DlqError::NoLeader(cluster.name.clone()).into())
}

/// On a terminal only: a line that is written over.
fn progress(done: usize, of: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Nothing depends on it.
        write!(
            stderr,
            "\r{done} of {of}{}",
            if done == of { "\n" } else { "" }
        )
        .unwrap_or_default();
    }
}

fn short(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(60).map(plain).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
