//! `sluice journal`: what was acknowledged and still has to be delivered.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use thiserror::Error;

use super::failure::Failure;
use super::runtime;
use crate::data_dir::{DataDir, DataDirError};
use sluice_delivery::{Inventory, Journal, LogError, LogInventory};
use sluice_jetstream::{Connection, Credentials, JetStreamLog, Servers, ServersError};
use sluice_types::stream::DEFAULT_STREAM;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice journal verify --data-dir data/a
  sluice journal verify --journal nats://n1,n2,n3 --stream default

With --ack journal a node writes records to its disk before it acknowledges them. A node repairs a
journal that a crash cut short when it starts; this command changes nothing. The exit code is 1 if
anything in the journal cannot be read.";

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Read a journal from end to end, and check every record in it
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The data directory of a node with a local journal
    #[arg(
        long,
        env = "SLUICE_DATA_DIR",
        value_name = "DIR",
        required_unless_present = "journal"
    )]
    data_dir: Option<PathBuf>,

    /// A directory that a node has as --journal, or the servers of a replicated one
    #[arg(
        long,
        env = "SLUICE_JOURNAL",
        value_name = "DIR|URLS",
        hide_env_values = true
    )]
    journal: Option<String>,

    /// The cluster that a replicated journal is of
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,

    /// The stream that the journal is of
    #[arg(long, default_value = DEFAULT_STREAM)]
    stream: String,
}

#[derive(Debug, Error)]
#[error(
    "find a journal in {}: there is none; name the data directory of a node that has run with \
     --ack journal, or its --journal", .0.display()
)]
struct NoJournal(PathBuf);

/// A replicated journal cannot be read.
#[derive(Debug, Error)]
enum ReplicatedError {
    #[error("use --journal: {0}")]
    Servers(ServersError),
    #[error("read the journal {log}")]
    Read {
        log: String,
        #[source]
        cause: LogError,
    },
}

pub(super) fn run(command: &JournalCommand) -> Result<ExitCode, Failure> {
    let JournalCommand::Verify(args) = command;
    let data_dir = args.data_dir.clone().unwrap_or_default();
    let folder = match &args.journal {
        Some(text) if Servers::are_named_by(text) => return replicated(args, text),
        Some(directory) => Path::new(directory).join(&args.stream),
        None => data_dir.join("journal"),
    };
    if !folder.is_dir() {
        return Err(NoJournal(folder).into());
    }
    // Released at once, because a node may want to start.
    let locked = args.data_dir.clone().map(DataDir::lock);
    let is_in_use = matches!(locked, Some(Err(DataDirError::InUse(_))));
    drop(locked);
    let inventory = Journal::inspect(&folder)?;
    print(&folder, &inventory, is_in_use);
    let is_whole = inventory.missing == 0
        && (inventory.damage.is_empty() || is_in_use && inventory.damage.iter().all(|d| d.is_tail));
    Ok(ExitCode::from(u8::from(!is_whole)))
}

/// Reads a replicated journal.
fn replicated(args: &VerifyArgs, servers: &str) -> Result<ExitCode, Failure> {
    let runtime = runtime::single_threaded()?;
    let connection = Connection::new(
        Servers::from_text(servers).map_err(ReplicatedError::Servers)?,
        Credentials::from_env(),
        "sluice journal verify".to_owned(),
        runtime.handle().clone(),
    );
    let log = JetStreamLog::new(connection.clone(), &args.cluster, &args.stream, 0);
    let found = runtime.block_on(LogInventory::read(&log));
    let found = found.map_err(|cause| ReplicatedError::Read {
        log: log.name().to_owned(),
        cause,
    })?;
    println!("journal    {} on {}", log.name(), connection.servers());
    println!("messages   {}", found.messages);
    println!("bytes      {}", found.bytes);
    println!("records    {}", found.records);
    println!("to deliver {}", found.to_deliver);
    println!(
        "tenures    {}, the last one of epoch {}",
        found.terms, found.epoch
    );
    for message in &found.damaged {
        println!("damage     message {message} cannot be read, or does not belong there");
    }
    if found.missing > 0 {
        println!("missing    {} messages", found.missing);
    }
    if found.is_whole() {
        println!("whole");
    }
    Ok(ExitCode::from(u8::from(!found.is_whole())))
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
