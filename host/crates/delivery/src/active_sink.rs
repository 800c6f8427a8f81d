//! A sink and the instance that runs it.

use std::sync::Arc;
use std::time::Duration;

use sluice_types::outcome::{Failure, Refusal, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, Sink, SinkInstance};

/// A sink with the instance that runs it, which is replaced when it breaks.
#[derive(Debug)]
pub struct ActiveSink {
    sink: Arc<dyn Sink>,
    instance: Option<Box<dyn SinkInstance>>,
}

impl ActiveSink {
    /// A sink with an instance that was opened.
    #[must_use]
    pub const fn new(sink: Arc<dyn Sink>, instance: Box<dyn SinkInstance>) -> Self {
        Self {
            sink,
            instance: Some(instance),
        }
    }

    /// Whether it has an instance.
    pub(crate) const fn is_open(&self) -> bool {
        self.instance.is_some()
    }

    /// Opens a fresh instance, after the last one broke or was cancelled.
    pub(crate) async fn reopen(&mut self) -> Result<(), Failure> {
        let opened = self.sink.open().await.map_err(retryable)?;
        self.instance = Some(opened);
        Ok(())
    }

    /// Offers a batch to the instance. The instance is gone if it breaks or if
    /// this future is dropped before it ends: see [`reopen`](Self::reopen).
    pub(crate) async fn write(
        &mut self,
        attempt: Attempt,
        batch: &Records,
        compute: Duration,
    ) -> Result<Vec<Refusal>, WriteError> {
        // Taken out, so that a cancelled call drops it.
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
    pub(crate) fn identity(&self) -> &Identity {
        self.sink.identity()
    }

    /// Closes the instance, if there is one.
    pub async fn close(self) {
        if let Some(instance) = self.instance
            && let Err(error) = instance.close().await
        {
            let plugin = &self.sink.identity().source;
            tracing::warn!(plugin, %error, "the sink did not close cleanly");
        }
    }
}

/// A failure to open a fresh instance says nothing about the records, so it
/// never refuses them.
fn retryable(error: WriteError) -> Failure {
    Failure::Retryable {
        reason: format!("open the sink again: {error}"),
        after: error.retry_after(),
    }
}
