//! The delivery of what is in the journals, for one tenure.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use sluice_delivery::{Feeder, Finish, Journal, Queue, Replicated};

/// Runs the feeders of a tenure, one for each journal that the stream has. Dropping this
/// ends it.
#[derive(Debug)]
pub(super) struct Feeding {
    tasks: JoinSet<()>,
    finish: watch::Sender<Finish>,
}

impl Feeding {
    pub(super) fn start(
        local: Option<&Journal>,
        replicated: Option<&Replicated>,
        queue: &Arc<Queue>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let (finish, finishing) = watch::channel(Finish::Never);
        let local = local.map(|journal| Feeder::new(journal.clone(), Arc::clone(queue)));
        let replicated = replicated.map(|journal| Feeder::new(journal.clone(), Arc::clone(queue)));
        match (local, replicated) {
            (Some(one), None) | (None, Some(one)) => {
                tasks.spawn(one.run(finishing));
            }
            (Some(local), Some(replicated)) => {
                // An earlier setting has left the local one.
                let also_finishing = finishing.clone();
                let queue = Arc::clone(queue);
                tasks.spawn(async move {
                    tokio::join!(
                        local.run_beside(finishing),
                        replicated.run_beside(also_finishing)
                    );
                    queue.close("this node is stopping");
                });
            }
            (None, None) => {}
        }
        Self { tasks, finish }
    }

    /// Tells the feeders to close the queue once so much of the journals is delivered.
    pub(super) fn finish(&self, finish: Finish) {
        self.finish.send_replace(finish);
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
