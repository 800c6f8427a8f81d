//! Where dead letters are read and removed: on the nodes that run, or in the
//! data directory of a node that does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::error::DlqError;
use super::filter::Filter;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::nodes::Nodes;
use crate::peer::{PeerClient, Target};
use sluice_delivery::{DeadLetters, Letter};
use sluice_types::stream::DEFAULT_STREAM;

#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,

    /// Read the data directory of a node that does not run, instead of asking the nodes
    #[arg(long)]
    pub(super) data_dir: Option<PathBuf>,
}

pub(super) enum LetterSource {
    /// All nodes of the cluster.
    Nodes(Box<Nodes>),
    /// The data directory of this node.
    DataDir { letters: DeadLetters, node: String },
}

/// The letters that a filter admits, oldest first.
pub(super) struct Letters {
    pub(super) found: Vec<FoundLetter>,
    /// Whether every node answered.
    pub(super) is_complete: bool,
}

/// A letter, and the node that has it.
#[derive(Serialize)]
pub(super) struct FoundLetter {
    pub(super) node: String,
    #[serde(flatten)]
    pub(super) letter: Letter,
    /// The node's `host:port`; empty in a data directory.
    #[serde(skip)]
    address: String,
}

impl Letters {
    /// Success if no node was left out.
    pub(super) const fn exit_code(&self) -> ExitCode {
        if self.is_complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn add(&mut self, node: &str, address: &str, letters: Vec<Letter>) {
        self.found
            .extend(letters.into_iter().map(|letter| FoundLetter {
                node: node.to_owned(),
                letter,
                address: address.to_owned(),
            }));
    }
}

impl LetterSource {
    /// # Errors
    /// Consul gives no usable answer, or the data directory has no letters.
    pub(super) async fn open(args: &SourceArgs) -> Result<Self, Failure> {
        if let Some(data_dir) = &args.data_dir {
            return Self::open_data_dir(data_dir, &args.cluster.stream);
        }
        let nodes = Nodes::open(&args.cluster).await?;
        Ok(Self::Nodes(Box::new(nodes)))
    }

    fn open_data_dir(data_dir: &Path, stream: &str) -> Result<Self, Failure> {
        let folder = match stream {
            DEFAULT_STREAM => data_dir.to_owned(),
            named => data_dir.join("streams").join(named),
        };
        let file = folder.join("dead-letters");
        if !file.exists() {
            return Err(DlqError::NoDataDir(folder).into());
        }
        let node = data_dir.file_name().unwrap_or_default();
        Ok(Self::DataDir {
            letters: DeadLetters::open(file, u64::MAX)?,
            node: node.to_string_lossy().into_owned(),
        })
    }

    /// The letters that the filter admits. A node that does not answer is left
    /// out, with a message on stderr.
    ///
    /// # Errors
    /// Consul gives no usable answer, or the data directory cannot be read.
    pub(super) async fn letters(&self, filter: &Filter) -> Result<Letters, Failure> {
        let mut all = Letters {
            found: Vec::new(),
            is_complete: true,
        };
        match self {
            Self::DataDir { letters, node } => all.add(node, "", letters.list()?),
            Self::Nodes(nodes) => {
                let is_wanted = |node: &str| filter.admits_node(node);
                let ask = async |client: &PeerClient, target: Target<'_>| {
                    client.dead_letters(target).await
                };
                let add = |Target { node, address }: Target<'_>, letters| {
                    all.add(node, address, letters);
                };
                all.is_complete = nodes.ask(is_wanted, ask, add).await?;
            }
        }
        all.found
            .retain(|found| filter.admits(&found.node, &found.letter));
        all.found.sort_by(|one, other| {
            let id = |found: &FoundLetter| {
                let record = &found.letter.record;
                (record.epoch, record.sequence)
            };
            let by_time = one.letter.time.cmp(&other.letter.time);
            by_time.then_with(|| id(one).cmp(&id(other)))
        });
        Ok(all)
    }

    /// Removes letters where they were found, and returns how many there were.
    ///
    /// # Errors
    /// A node does not answer, or the data directory cannot be written.
    pub(super) async fn remove(&self, found: &[&FoundLetter]) -> Result<u64, Failure> {
        // By node, where each is reached.
        let mut by_node: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for letter in found {
            let node = (letter.node.as_str(), letter.address.as_str());
            by_node
                .entry(node)
                .or_default()
                .push(letter.letter.id.clone());
        }
        let mut removed = 0;
        for ((node, address), ids) in by_node {
            removed += match self {
                Self::Nodes(nodes) => nodes.client.remove(Target { node, address }, &ids).await?,
                Self::DataDir { letters, .. } => letters.remove(ids).await?,
            };
        }
        Ok(removed)
    }
}
