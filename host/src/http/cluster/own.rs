//! What this node tells the page, itself or through another node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::scan;
use super::shown::shown;
use crate::http::admin::Status;
use crate::peer::letters::{LetterPage, LetterQuery, ReadLetters};
use crate::stream::{Led, Stream, Streams};
use sluice_delivery::DeadLetterError;

/// How long a request waits for those before it that read dead letters.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// This node, for the page.
#[derive(Debug)]
pub(crate) struct OwnNode {
    /// The node's name.
    pub(crate) node: String,
    pub(crate) streams: Streams,
    /// Reading dead letters takes the disk and a thread, so it has one turn.
    reading: Arc<Semaphore>,
}

/// What a node says of itself.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NodeView {
    pub(crate) status: Status,
    /// The leaders of the stream that it has seen.
    pub(crate) tenures: Vec<Led>,
}

/// What a node says of its streams, by their names: of those that it leads, and of those
/// where something waits or is wrong.
pub(crate) type StreamStatuses = BTreeMap<String, Status>;

impl OwnNode {
    pub(crate) fn new(node: String, streams: Streams) -> Self {
        Self {
            node,
            streams,
            reading: Arc::new(Semaphore::new(1)),
        }
    }

    /// What it says of itself for this stream.
    pub(in crate::http) fn view(&self, stream: &Stream) -> NodeView {
        NodeView {
            status: Status::of(&self.node, stream),
            tenures: stream.leaders.list(),
        }
    }

    /// What it says of all streams together.
    pub(in crate::http) fn streams(&self) -> StreamStatuses {
        let all = self.streams.all();
        let statuses = all
            .iter()
            .map(|stream| (stream.name.clone(), Status::of(&self.node, stream)));
        statuses.filter(|(_, status)| status.is_telling()).collect()
    }

    /// The latest of this node's dead letters of a stream that the query admits.
    ///
    /// # Errors
    /// They cannot be read, or too many read them already.
    pub(in crate::http) async fn find_letters(
        &self,
        stream: &Stream,
        query: LetterQuery,
    ) -> Result<LetterPage, String> {
        let letters = stream.letters.clone();
        self.read(move || scan::find(&letters, &query)).await
    }

    /// The letters with these ids.
    ///
    /// # Errors
    /// As above.
    pub(in crate::http) async fn read_letters(
        &self,
        stream: &Stream,
        ids: Vec<String>,
    ) -> Result<ReadLetters, String> {
        let letters = stream.letters.clone();
        self.read(move || scan::read(&letters, &ids)).await
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
