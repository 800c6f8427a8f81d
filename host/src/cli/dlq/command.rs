//! The subcommands of `sluice dlq`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::error::DlqError;
use super::filter::Filter;
use super::letter_source::{FoundLetter, LetterSource, Letters, SourceArgs};
use super::remote::Remote;
use super::replay::replay;
use super::rows::{Row, Rows};
use crate::cli::failure::Failure;
use crate::cli::{json, runtime};

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice dlq list                                  all dead letters of all nodes
  sluice dlq list --since 2h --reason trapped
  sluice dlq show 3-1742                           one of them, with its record
  sluice dlq replay --plugin file:///plugins/a.wasm
  sluice dlq purge --since 30d --node a
  sluice dlq list --data-dir data/a                of a node that does not run
  sluice dlq list --url https://node-a:3000 --token-file token    without access to Consul

A dead letter is a record that no sink accepts: it broke the sink repeatedly, or the sink refused it
when its producer could no longer be told. Replay sends records to the leader, and removes the
letters of those that were confirmed.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DlqCommand {
    /// List dead letters, oldest first
    List(ListArgs),
    /// Show one dead letter as JSON
    Show(ShowArgs),
    /// Send the records to the leader again, and remove what was confirmed
    Replay(ChosenArgs),
    /// Remove dead letters
    Purge(ChosenArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    source: SourceArgs,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The id from `sluice dlq list` or from the answer to the producer
    id: String,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ChosenArgs {
    /// The ids of the letters; alternatively use a filter, or --all
    ids: Vec<String>,

    /// All letters
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    source: SourceArgs,
}

pub(in crate::cli) fn run(command: DlqCommand) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        match command {
            DlqCommand::List(args) => args.run().await,
            DlqCommand::Show(args) => args.run().await,
            DlqCommand::Replay(args) => args.replay().await,
            DlqCommand::Purge(args) => args.purge().await,
        }
    })
}

impl ListArgs {
    async fn run(&self) -> Result<ExitCode, Failure> {
        if let Some(remote) = Remote::open(&self.source).await? {
            return remote.list(&self.filter, self.json).await;
        }
        let source = LetterSource::open(&self.source).await?;
        let letters = source.letters(&self.filter).await?;
        if self.json {
            for found in &letters.found {
                json::print(found)?;
            }
        } else {
            print!("{}", list(&letters.found));
            eprintln!("{} dead letters", letters.found.len());
        }
        Ok(letters.exit_code())
    }
}

impl ShowArgs {
    async fn run(&self) -> Result<ExitCode, Failure> {
        if let Some(remote) = Remote::open(&self.source).await? {
            return remote.show(&self.id).await;
        }
        let source = LetterSource::open(&self.source).await?;
        let letters = source.letters(&Filter::default()).await?.found;
        let mut letters = letters.iter();
        let found = letters
            .find(|found| found.letter.id == self.id)
            .ok_or_else(|| DlqError::UnknownLetter(self.id.clone()))?;
        json::print_pretty(found)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ChosenArgs {
    async fn replay(&self) -> Result<ExitCode, Failure> {
        self.check_choice()?;
        if let Some(remote) = Remote::open(&self.source).await? {
            return remote.replay(&self.ids, &self.filter).await;
        }
        let source = LetterSource::open(&self.source).await?;
        let letters = self.choose(&source).await?;
        let replayed = replay(&source, &letters.found, &self.source.cluster).await?;
        let (confirmed, total) = (replayed.confirmed, letters.found.len());
        println!("replayed {confirmed} of {total} dead letters");
        Ok(match replayed.rejected {
            0 => letters.exit_code(),
            _ => ExitCode::FAILURE,
        })
    }

    async fn purge(&self) -> Result<ExitCode, Failure> {
        self.check_choice()?;
        if let Some(remote) = Remote::open(&self.source).await? {
            return remote.purge(&self.ids, &self.filter).await;
        }
        let source = LetterSource::open(&self.source).await?;
        let letters = self.choose(&source).await?;
        let chosen: Vec<_> = letters.found.iter().collect();
        let removed = source.remove(&chosen).await?;
        println!("removed {removed} dead letters");
        Ok(letters.exit_code())
    }

    /// What is not chosen by a name or a condition needs a word for it.
    fn check_choice(&self) -> Result<(), DlqError> {
        match self.ids.is_empty() && self.filter.is_empty() && !self.all {
            true => Err(DlqError::NothingChosen),
            false => Ok(()),
        }
    }

    async fn choose(&self, source: &LetterSource) -> Result<Letters, Failure> {
        let mut letters = source.letters(&self.filter).await?;
        let is_unknown = |id: &&String| !letters.found.iter().any(|f| f.letter.id == **id);
        if let Some(unknown) = self.ids.iter().find(is_unknown) {
            return Err(DlqError::UnknownLetter(unknown.clone()).into());
        }
        if !self.ids.is_empty() {
            let ids = &self.ids;
            letters.found.retain(|found| ids.contains(&found.letter.id));
        }
        Ok(letters)
    }
}

fn list(found: &[FoundLetter]) -> String {
    let mut rows = Rows::default();
    for FoundLetter { node, letter, .. } in found {
        rows.push(&Row {
            node,
            id: &letter.id,
            time: &letter.time,
            cause: letter.cause,
            plugin: &letter.plugin.source,
            reason: &letter.reason,
            body: &letter.record.body,
        });
    }
    rows.text()
}
