//! The delivery of what is in the journal, for one tenure.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use sluice_delivery::{Feeder, Journal, Queue};

/// Runs the feeder of a tenure, if the stream has a journal. Dropping this
/// ends it.
#[derive(Debug)]
pub(super) struct Feeding {
    tasks: JoinSet<()>,
    finish: watch::Sender<bool>,
}

impl Feeding {
    pub(super) fn start(journal: Option<&Journal>, queue: &Arc<Queue>) -> Self {
        let mut tasks = JoinSet::new();
        let (finish, finishing) = watch::channel(false);
        if let Some(journal) = journal {
            tasks.spawn(Feeder::new(journal.clone(), Arc::clone(queue)).run(finishing));
        }
        Self { tasks, finish }
    }

    /// Tells the feeder to close the queue once all of the journal is fed.
    pub(super) fn finish(&self) {
        self.finish.send_replace(true);
    }

    /// Waits until the feeder panics.
    pub(super) async fn panicked(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the delivery from the journal ended unexpectedly");
                return;
            }
        }
        std::future::pending().await
    }
}
