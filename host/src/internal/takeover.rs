//! Taking over what other nodes have in their journals.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::delivery::{Chunk, Journal, JournalId, Outcome};
use crate::ingest::Door;

/// What the leader took over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Handed {
    /// Every entry of the other journal below this one.
    pub taken: u64,
    /// Why not all, if so.
    pub error: Option<String>,
}

/// Takes over the journals of other nodes, each entry once, one request after
/// the other.
#[derive(Debug)]
pub struct Takeover {
    door: watch::Receiver<Door>,
    journal: Option<Journal>,
    /// Of each journal, the entry below which all was taken.
    taken: Arc<Mutex<BTreeMap<JournalId, u64>>>,
}

/// Why nothing could be taken over now.
pub(super) struct NotNow(pub(super) &'static str);

impl Takeover {
    /// `journal` is this node's own, if it has one: it remembers what was
    /// taken.
    #[must_use]
    pub fn new(door: watch::Receiver<Door>, journal: Option<Journal>) -> Self {
        Self {
            door,
            journal,
            taken: Arc::default(),
        }
    }

    /// Takes what was not taken yet, and answers when it is safe here.
    pub(super) async fn take(&self, from: JournalId, chunk: Chunk) -> Result<Handed, NotNow> {
        let taken = Arc::clone(&self.taken).lock_owned().await;
        let (door, journal) = (self.door.clone(), self.journal.clone());
        // In a task of its own: what has begun is brought to its end, also when
        // the other node no longer waits, so that nothing is taken twice.
        let taking = tokio::spawn(take(door, journal, taken, from, chunk));
        taking
            .await
            .unwrap_or(Err(NotNow("taking over ended unexpectedly")))
    }
}

async fn take(
    door: watch::Receiver<Door>,
    journal: Option<Journal>,
    mut marks: OwnedMutexGuard<BTreeMap<JournalId, u64>>,
    from: JournalId,
    chunk: Chunk,
) -> Result<Handed, NotNow> {
    let kept = journal.as_ref().map_or(0, |own| own.taken_from(from));
    let mark = marks.get(&from).copied().unwrap_or_default().max(kept);
    let end = chunk.end.max(mark);
    let fresh = chunk.entries.into_iter().zip(chunk.records);
    let (entries, records): (Vec<u64>, Vec<_>) = fresh.filter(|(entry, _)| *entry >= mark).unzip();
    let mut handed = Handed {
        taken: end,
        error: None,
    };
    if !records.is_empty() {
        let intake = match &*door.borrow() {
            Door::Open(intake) => Arc::clone(intake),
            _ => return Err(NotNow("this node is not the leader")),
        };
        let receipt = intake
            .take_over(records)
            .map_err(|_| NotNow("this node can not take records at the moment"))?;
        let Outcome::Acknowledged { rejected, .. } = receipt.await else {
            return Err(NotNow("this node is no longer the leader"));
        };
        if let Some(lost) = rejected.iter().find(|rejection| !rejection.is_kept) {
            handed.taken = entries.get(lost.index).copied().unwrap_or(mark);
            handed.error = Some(lost.reason.clone());
        }
    }
    marks.insert(from, handed.taken);
    if let Some(own) = journal {
        own.took(from, handed.taken);
    }
    Ok(handed)
}
