//! Actions that are under way. They go on when their client goes.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::http::problem::Problem;

/// The most actions at a time.
const ACTIONS_MAX: usize = 8;

/// Owns the tasks of actions.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<JoinSet<()>>);

impl Running {
    /// Runs an action to its end, and returns what came of it.
    ///
    /// # Errors
    /// [`Problem::Busy`] if too many are under way; [`Problem::Unknown`] if it ended with
    /// the node.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        action: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let (outcome_in, outcome) = oneshot::channel();
        self.spawn(async move {
            // The client may have gone.
            drop(outcome_in.send(action.await));
        })?;
        let ended = |_| Problem::Unknown("the action did not end".to_owned());
        outcome.await.map_err(ended)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Problem> {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "an action broke off");
            }
        }
        if tasks.len() >= ACTIONS_MAX {
            let text = format!("{ACTIONS_MAX} actions are under way; try again in a moment");
            return Err(Problem::Busy(text));
        }
        tasks.spawn(task);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn an_action_goes_on_without_its_client_and_few_do() {
        let (running, gate) = (Running::default(), Arc::new(Semaphore::new(0)));
        let (done_in, mut done) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..ACTIONS_MAX {
            let (gate, done_in) = (Arc::clone(&gate), done_in.clone());
            let mut client = Box::pin(running.run(async move {
                drop(gate.acquire().await);
                done_in.send(()).unwrap();
            }));
            // It has begun, and its client goes.
            assert!(client.as_mut().now_or_never().is_none());
        }
        let refused = running.run(async {}).await;
        assert!(matches!(refused, Err(Problem::Busy(_))), "{refused:?}");
        gate.add_permits(1);
        for _ in 0..ACTIONS_MAX {
            done.recv().await.unwrap();
        }
    }
}
