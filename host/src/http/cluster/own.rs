//! What this node tells the page, itself or through another node.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::scan;
use super::shown::shown;
use super::tenures::{Tenure, Tenures};
use crate::http::admin::Status;
use crate::peer::letters::{LetterPage, LetterQuery, ReadLetters};
use crate::peer::wire::{StepDownAnswer, StepDownRequest};
use crate::stream::{Stream, Streams};
use sluice_delivery::DeadLetterError;

/// How long a request waits for those before it that read dead letters.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// This node, for the page.
#[derive(Debug)]
pub(crate) struct OwnNode {
    /// The node's name.
    pub(crate) node: String,
    pub(crate) streams: Streams,
    pub(crate) tenures: Tenures,
    /// Reading dead letters takes the disk and a thread, so it has one turn.
    reading: Arc<Semaphore>,
}

/// What a node says of itself.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NodeView {
    pub(crate) status: Status,
    /// The leaders that it has seen.
    pub(crate) tenures: Vec<Tenure>,
}

impl OwnNode {
    pub(crate) fn new(node: String, streams: Streams, tenures: Tenures) -> Self {
        Self {
            node,
            streams,
            tenures,
            reading: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) const fn stream(&self) -> &Arc<Stream> {
        self.streams.default_stream()
    }

    pub(in crate::http) fn view(&self) -> NodeView {
        NodeView {
            status: Status::of(&self.node, self.stream()),
            tenures: self.tenures.list(),
        }
    }

    /// The latest of this node's dead letters that the query admits.
    ///
    /// # Errors
    /// They cannot be read, or too many read them already.
    pub(in crate::http) async fn find_letters(
        &self,
        query: LetterQuery,
    ) -> Result<LetterPage, String> {
        let letters = self.stream().letters.clone();
        self.read(move || scan::find(&letters, &query)).await
    }

    /// The letters with these ids.
    ///
    /// # Errors
    /// As above.
    pub(in crate::http) async fn read_letters(
        &self,
        ids: Vec<String>,
    ) -> Result<ReadLetters, String> {
        let letters = self.stream().letters.clone();
        self.read(move || scan::read(&letters, &ids)).await
    }

    /// Removes the letters with these ids; returns how many there were.
    ///
    /// # Errors
    /// They cannot be removed.
    pub(super) async fn remove_letters(&self, ids: Vec<String>) -> Result<u64, String> {
        let removed = self.stream().letters.remove(ids).await;
        removed.map_err(|error| shown(&error))
    }

    /// Starts a hand-over; `None` if this node does not lead under that epoch.
    pub(in crate::http) fn step_down(&self, wanted: StepDownRequest) -> Option<StepDownAnswer> {
        let begun = self.stream().hand_over(wanted.epoch, wanted.to)?;
        Some(StepDownAnswer {
            epoch: begun.epoch,
            drain_ms: u64::try_from(begun.drain.as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, DeadLetterError> + Send + 'static,
    ) -> Result<T, String> {
        let turn = timeout(TURN_LIMIT, Arc::clone(&self.reading).acquire_owned()).await;
        let turn = turn.map_err(|_| "others read dead letters at the moment".to_owned())?;
        // The turn ends with the reading, also when nobody waits for it any more.
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read()
        });
        let read = reading.await.map_err(|error| error.to_string())?;
        read.map_err(|error| shown(&error))
    }
}
