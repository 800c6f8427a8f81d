//! A sink and the instance that runs it.

use std::sync::Arc;
use std::time::Duration;

use sluice_types::outcome::{Failure, Refusal, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::record::LogRecord;
use sluice_types::sink::{Attempt, Sink, SinkInstance};

/// A sink with the instance that runs it, replaced when it breaks.
#[derive(Debug)]
pub struct ActiveSink {
    prepared: Arc<dyn Sink>,
    instance: Option<Box<dyn SinkInstance>>,
}

impl ActiveSink {
    /// A sink that was opened.
    #[must_use]
    pub const fn new(prepared: Arc<dyn Sink>, instance: Box<dyn SinkInstance>) -> Self {
        Self {
            prepared,
            instance: Some(instance),
        }
    }

    /// Whether it has an instance.
    pub(super) const fn is_open(&self) -> bool {
        self.instance.is_some()
    }

    /// Opens a fresh instance, after the last one broke.
    pub(super) async fn reopen(&mut self) -> Result<(), Failure> {
        let opened = self.prepared.open().await.map_err(not_the_records_fault)?;
        self.instance = Some(opened);
        Ok(())
    }

    /// Offers a batch to the instance, which is gone after it broke or was
    /// cancelled: see [`reopen`](Self::reopen).
    pub(super) async fn write(
        &mut self,
        attempt: Attempt,
        batch: &[LogRecord],
        compute: Duration,
    ) -> Result<Vec<Refusal>, WriteError> {
        // Taken out, so that a call which is cancelled or breaks ends it.
        let Some(mut instance) = self.instance.take() else {
            let (reason, after) = ("the sink was not opened again".to_owned(), None);
            return Err(Failure::Retryable { reason, after }.into());
        };
        let written = instance.write(attempt, batch, compute).await;
        if !matches!(written, Err(WriteError::Broken(_))) {
            self.instance = Some(instance);
        }
        written
    }

    /// Which sink it is.
    pub(super) fn identity(&self) -> &Identity {
        self.prepared.identity()
    }

    /// Closes the instance, if it is healthy.
    pub async fn close(self) {
        if let Some(instance) = self.instance
            && let Err(error) = instance.close().await
        {
            tracing::warn!(plugin = self.prepared.identity().source, %error, "the sink did not close cleanly");
        }
    }
}

/// When a fresh instance can not be opened, that says nothing of the records.
fn not_the_records_fault(error: WriteError) -> Failure {
    let after = match &error {
        WriteError::Failed(Failure::Retryable { after, .. }) => *after,
        _ => None,
    };
    Failure::Retryable {
        reason: format!("open the sink again: {error}"),
        after,
    }
}
