//! The tasks of a stream, and the order in which they end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::stop::Stop;
use sluice_delivery::{DeadLetters, Journal};
use sluice_leadership::Elector;
use sluice_types::stream::DEFAULT_STREAM;

/// The time for the plugin controller to end.
const CONTROLLER_LIMIT: Duration = Duration::from_secs(1);

/// Everything that runs for one stream.
#[derive(Debug)]
pub(crate) struct StreamTasks {
    /// Its name.
    pub(super) stream: String,
    pub(super) stop: watch::Sender<Option<Stop>>,
    /// One task.
    pub(super) tenures: JoinSet<()>,
    pub(super) controller: JoinHandle<()>,
    /// Remembers who led.
    pub(super) leaders: JoinHandle<()>,
    /// One task if there is a journal.
    pub(super) journal_sender: JoinSet<()>,
    pub(super) journal: Option<Journal>,
    pub(super) letters: DeadLetters,
}

impl StreamTasks {
    /// Waits until a task has ended, and says what it did. None should end
    /// before [`stop`](Self::stop).
    pub(crate) async fn ended(&mut self) -> &'static str {
        tokio::select! {
            Some(_) = self.tenures.join_next() => "the delivery of messages",
            _ = &mut self.controller => "the choice of the sink",
            _ = &mut self.leaders => "the watch of the leaders",
            Some(_) = self.journal_sender.join_next() => "the transfer of the journal",
        }
    }

    /// Stops accepting requests; those that were accepted are finished.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(Some(Stop::Node));
    }

    /// The same for a stream that no node will lead any more.
    pub(super) fn stop_for_good(&self) {
        self.stop.send_replace(Some(Stop::Closed));
    }

    /// Waits until every request that was accepted has its outcome. Call
    /// [`stop`](Self::stop) first.
    pub(crate) async fn drained(&mut self) {
        while let Some(ended) = self.tenures.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the delivery of messages ended unexpectedly");
            }
        }
    }

    /// The same, and then gives up the lock, so that another node can lead the stream while
    /// others still drain. That of the default stream is given up with the session.
    pub(crate) async fn left(&mut self, elector: &Elector) {
        self.drained().await;
        if self.stream != DEFAULT_STREAM {
            elector.leave(&self.stream).await;
        }
    }

    /// Ends what is not needed without the lock: the plugin controller and the
    /// transfer of the journal. Call [`drained`](Self::drained) first.
    pub(crate) async fn end(&mut self) {
        // It ends by itself when the tenures have, unless a disk holds it up.
        if !self.controller.is_finished()
            && timeout(CONTROLLER_LIMIT, &mut self.controller)
                .await
                .is_err()
        {
            self.controller.abort();
        }
        self.leaders.abort();
        self.journal_sender.shutdown().await;
    }

    /// Whether records are left on this node's disk: acknowledged and not delivered,
    /// or set aside.
    pub(crate) fn has_records(&self) -> bool {
        let journal = self.journal.as_ref().map(Journal::status);
        journal.is_some_and(|journal| journal.backlog > 0) || self.letters.bytes() > 0
    }

    /// Closes the journal. Call [`end`](Self::end) first.
    pub(crate) async fn close(self) {
        if let Some(journal) = self.journal
            && let Err(error) = tokio::task::spawn_blocking(move || journal.close()).await
        {
            tracing::error!(%error, "the journal did not close in order");
        }
    }
}
