//! `sluice journal`: what a node has on disk and still has to deliver.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use thiserror::Error;

use super::failure::Failure;
use crate::data_dir::{DataDir, DataDirError};
use sluice_delivery::{Inventory, Journal};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice journal verify --data-dir data/a

With --ack journal a node writes records to its disk before it acknowledges them. A node repairs a
journal that a crash cut short when it starts; this command changes nothing. The exit code is 1 if
anything in the journal cannot be read.";

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Read a node's journal from end to end, and check every record in it
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The node's data directory
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Error)]
#[error(
    "find a journal in {}: there is none; name the data directory of a node that has run with \
     --ack journal", .0.display()
)]
struct NoJournal(PathBuf);

pub(super) fn run(command: &JournalCommand) -> Result<ExitCode, Failure> {
    let JournalCommand::Verify(args) = command;
    let folder = args.data_dir.join("journal");
    if !folder.is_dir() {
        return Err(NoJournal(args.data_dir.clone()).into());
    }
    // Released at once, because a node may want to start.
    let locked = DataDir::lock(args.data_dir.clone());
    let is_in_use = matches!(locked, Err(DataDirError::InUse(_)));
    drop(locked);
    let inventory = Journal::inspect(&folder)?;
    print(&folder, &inventory, is_in_use);
    let is_whole = inventory.missing == 0
        && (inventory.damage.is_empty() || is_in_use && inventory.damage.iter().all(|d| d.is_tail));
    Ok(ExitCode::from(u8::from(!is_whole)))
}

fn print(folder: &Path, inventory: &Inventory, is_in_use: bool) {
    println!("journal    {}", folder.display());
    println!("segments   {}", inventory.segments);
    println!("bytes      {}", inventory.bytes);
    println!("records    {}", inventory.records);
    println!("to deliver {}", inventory.backlog);
    for damage in &inventory.damage {
        let what = match (damage.is_tail, is_in_use) {
            (true, true) => "being written, or cut short",
            (true, false) => "a write that did not end; removed when the node starts",
            (false, _) => "cannot be read",
        };
        let (file, bytes) = (damage.file.display(), &damage.bytes);
        println!(
            "damage     {file}, bytes {} to {}: {what}",
            bytes.start, bytes.end
        );
    }
    if inventory.missing > 0 {
        println!("missing    {} records", inventory.missing);
    }
    if inventory.damage.is_empty() && inventory.missing == 0 {
        println!("whole");
    }
}
