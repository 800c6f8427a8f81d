//! Lets records pass through a sink, as a node would, but without a queue.

use std::time::Duration;

use sluice_sandbox::{Instance, NodeStdout};
use sluice_types::backoff::Backoff;
use sluice_types::outcome::{Failure, Refusal, WriteError};
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, SinkInstance};
use thiserror::Error;

use super::workbench::{KitError, Workbench};

/// How often a batch is offered.
const ATTEMPTS: u32 = 5;
/// The bounds on the pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Records do not pass.
#[derive(Debug, Error)]
pub(crate) enum PipeError {
    #[error(transparent)]
    Kit(#[from] KitError),
    #[error("open the sink")]
    Open(#[source] WriteError),
    #[error("write {records} records in {ATTEMPTS} attempts")]
    Write {
        records: usize,
        #[source]
        cause: WriteError,
    },
}

/// An open sink.
#[derive(Debug)]
pub(crate) struct Pipe {
    sink: Workbench,
    stdout: NodeStdout,
    instance: Box<Instance>,
}

impl Pipe {
    /// Opens the sink.
    ///
    /// # Errors
    /// What the sink answered, or why it cannot be loaded.
    pub(crate) async fn open(sink: Workbench, stdout: NodeStdout) -> Result<Self, PipeError> {
        let instance = open(&sink, &stdout).await?;
        Ok(Self {
            sink,
            stdout,
            instance,
        })
    }

    /// Goes on with another sink. The one before is closed once that one is open.
    ///
    /// # Errors
    /// It does not open; the one before stays.
    pub(crate) async fn replace(&mut self, sink: Workbench) -> Result<(), PipeError> {
        let instance = open(&sink, &self.stdout).await?;
        let before = std::mem::replace(&mut self.instance, instance);
        self.sink = sink;
        closed(before).await;
        Ok(())
    }

    /// Offers records until they are taken or refused for good, several times at
    /// most. `told` hears of each failed attempt. Returns the refusals.
    ///
    /// # Errors
    /// No attempt succeeded.
    pub(crate) async fn write(
        &mut self,
        batch: &Records,
        mut told: impl FnMut(&WriteError),
    ) -> Result<Vec<Refusal>, PipeError> {
        let (mut number, mut pauses) = (1, Backoff::new(PAUSE, PAUSE_MAX));
        loop {
            let attempt = Attempt {
                epoch: 1,
                number,
                trace: None,
            };
            let call = self.sink.call();
            let cause = match self.instance.write(attempt, batch, call).await {
                Ok(refusals) => return Ok(refusals),
                Err(WriteError::Failed(Failure::Permanent(reason))) => {
                    return Ok(all_refused(batch, &reason));
                }
                Err(error) => error,
            };
            told(&cause);
            if number == ATTEMPTS {
                let records = batch.len();
                return Err(PipeError::Write { records, cause });
            }
            tokio::time::sleep(pauses.next(cause.retry_after())).await;
            if matches!(cause, WriteError::Broken(_)) {
                self.instance = open(&self.sink, &self.stdout).await?;
            }
            number += 1;
        }
    }

    /// Closes the sink.
    pub(crate) async fn close(self) {
        closed(self.instance).await;
        self.stdout.close();
    }
}

async fn open(sink: &Workbench, stdout: &NodeStdout) -> Result<Box<Instance>, PipeError> {
    let prepared = sink.sink(&sink.manifest.config, stdout)?;
    let opened = prepared.open_instance().await.map_err(PipeError::Open)?;
    Ok(Box::new(opened))
}

async fn closed(instance: Box<Instance>) {
    if let Err(error) = instance.close().await {
        tracing::warn!(%error, "the sink did not close");
    }
}

fn all_refused(batch: &Records, reason: &str) -> Vec<Refusal> {
    let refusal = |index| Refusal {
        index,
        failure: Failure::Permanent(reason.to_owned()),
    };
    (0..batch.len()).map(refusal).collect()
}
