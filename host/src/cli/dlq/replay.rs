//! Sends the records of dead letters to the leader again.

use std::io::{IsTerminal, Write};

use super::error::DlqError;
use super::letter_source::{FoundLetter, LetterSource};
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::secret::signing;
use crate::peer::Target;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::readable;

/// The most records in one request: not more than the answer lists if all of
/// them are rejected.
const MAX_RECORDS: usize = 500;

/// How many records the leader confirmed, and how many it rejected.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) confirmed: usize,
    pub(super) rejected: usize,
}

/// Sends the letters' records, and removes the letters of those that were
/// confirmed. Prints why others were rejected.
///
/// # Errors
/// There is no leader, or it cannot take them. Letters of records that were
/// confirmed before are removed.
pub(super) async fn replay(
    source: &LetterSource,
    letters: &[FoundLetter],
    cluster: &ClusterArgs,
) -> Result<Replayed, Failure> {
    let consul = Client::new(consul::Config::from_env()?)?;
    let client = signing(&consul, cluster).await?;
    let mut replayed = Replayed::default();
    for part in letters.chunks(MAX_RECORDS) {
        let leader = cluster.named_leader(&consul).await?;
        let leader = leader.ok_or_else(|| DlqError::NoLeader(cluster.name.clone()))?;
        let records: Vec<_> = part.iter().map(|found| &found.letter.record).collect();
        let target = Target {
            node: &leader.node,
            address: &leader.address,
        };
        let rejected = client.records(target, &records).await?.rejected;
        for rejection in &rejected {
            if let Some(found) = part.get(rejection.index) {
                let reason = readable::error(&rejection.reason);
                eprintln!("{}: {reason}", found.letter.id);
            }
        }
        let is_rejected = |index| rejected.iter().any(|rejected| rejected.index == index);
        let confirmed: Vec<_> = part
            .iter()
            .enumerate()
            .filter(|(index, _)| !is_rejected(*index))
            .map(|(_, found)| found)
            .collect();
        source.remove(&confirmed).await?;
        replayed.confirmed += confirmed.len();
        replayed.rejected += rejected.len();
        show_progress(replayed.confirmed + replayed.rejected, letters.len());
    }
    Ok(replayed)
}

/// Overwrites one line, on a terminal only.
fn show_progress(done: usize, total: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let end = if done == total { "\n" } else { "" };
        // Nothing depends on whether this can be printed.
        write!(stderr, "\r{done} of {total}{end}").unwrap_or_default();
    }
}
