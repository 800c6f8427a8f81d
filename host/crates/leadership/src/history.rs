//! The keys below `<c>/history/`, in which leaders note the changes of the sink.

use std::time::Duration;

use tokio::sync::watch;

use super::coordination::Coordination;
use super::noted::Note;
use super::stream_name::StreamName;
use super::tenure::Tenure;
use sluice_types::documents::{ActiveDocument, HistoryDocument};

/// How many changes are kept.
const KEPT: usize = 50;
/// The pause after a call without an answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Notes what changes in `active` while this node holds the lock.
pub(super) async fn keep(
    coordination: Coordination,
    stream: StreamName,
    mut tenure: watch::Receiver<Option<Tenure>>,
    mut active: watch::Receiver<Option<ActiveDocument>>,
) {
    loop {
        let holding = tenure.borrow_and_update().clone();
        let document = active.borrow_and_update().clone();
        let is_settled = match holding.zip(document) {
            Some((tenure, document)) => note(&coordination, &stream, &tenure, document).await,
            None => true,
        };
        tokio::select! {
            changed = tenure.changed() => if changed.is_err() { return },
            changed = active.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY_INTERVAL), if !is_settled => {}
        }
    }
}

/// Notes what is new; false if that must be tried again.
async fn note(
    coordination: &Coordination,
    stream: &str,
    tenure: &Tenure,
    active: ActiveDocument,
) -> bool {
    let Some(noted) = coordination.history(stream).await else {
        return false;
    };
    let places: Vec<_> = noted.iter().map(|old| (old.number, old.index)).collect();
    let latest: Vec<_> = noted
        .into_iter()
        .filter_map(|noted| noted.document)
        .collect();
    let active = ActiveDocument {
        epoch: tenure.epoch,
        ..active
    };
    let news = HistoryDocument::news(&active, &latest);
    let next = places.last().map_or(1, |(number, _)| number + 1);
    let room = KEPT.saturating_sub(news.len());
    let mut forgotten: Vec<_> = places.into_iter().rev().skip(room).collect();
    for (number, document) in (next..).zip(news) {
        let note = Note {
            number,
            // Strings and numbers always have a JSON form.
            document: serde_json::to_vec(&document).unwrap_or_default(),
            forgotten: std::mem::take(&mut forgotten),
        };
        if !coordination.note(stream, &tenure.session, &note).await {
            return false;
        }
    }
    true
}
