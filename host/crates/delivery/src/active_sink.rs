//! A sink and the instances that run it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use sluice_types::outcome::{Failure, Refusal, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::records::Records;
use sluice_types::sink::{Attempt, BoxFuture, Sink, SinkInstance};

/// What becomes of opening an instance.
pub(crate) type Opened = Result<Box<dyn SinkInstance>, Failure>;

/// A sink with the instances that run it, as many as it has writes at a time.
/// They are replaced when they break.
#[derive(Debug)]
pub struct ActiveSink {
    sink: Arc<dyn Sink>,
    /// Open, and without a write.
    idle: Vec<Box<dyn SinkInstance>>,
}

impl ActiveSink {
    /// A sink with an instance that was opened.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>, instance: Box<dyn SinkInstance>) -> Self {
        Self {
            sink,
            idle: vec![instance],
        }
    }

    /// How many writes may be under way at a time.
    pub(crate) fn concurrency(&self) -> usize {
        self.sink.concurrency().get()
    }

    /// Whether it has an instance without a write.
    pub(crate) const fn is_open(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Opens another instance, to be [given](Self::give) to this sink.
    pub(crate) fn open(&self) -> BoxFuture<'static, Opened> {
        let sink = Arc::clone(&self.sink);
        Box::pin(async move { sink.open().await.map_err(retryable) })
    }

    /// Opens a fresh instance, after the last one broke or was cancelled.
    pub(crate) async fn reopen(&mut self) -> Result<(), Failure> {
        let opened = self.sink.open().await.map_err(retryable)?;
        self.give(opened);
        Ok(())
    }

    /// Takes an instance out for a write. One that is not given back is gone.
    pub(crate) fn take(&mut self) -> Option<Box<dyn SinkInstance>> {
        self.idle.pop()
    }

    /// Adds an instance that is open and has no write.
    pub(crate) fn give(&mut self, instance: Box<dyn SinkInstance>) {
        self.idle.push(instance);
    }

    /// Offers a batch to an instance. The instance is gone if it breaks or if
    /// this future is dropped before it ends: see [`reopen`](Self::reopen).
    pub(crate) async fn write(
        &mut self,
        attempt: Attempt,
        batch: &Records,
        compute: Duration,
    ) -> Result<Vec<Refusal>, WriteError> {
        // Taken out, so that a cancelled call drops it.
        let Some(mut instance) = self.take() else {
            let (reason, after) = ("the sink was not opened again".to_owned(), None);
            return Err(Failure::Retryable { reason, after }.into());
        };
        let written = instance.write(attempt, batch, compute).await;
        if !matches!(written, Err(WriteError::Broken(_))) {
            self.give(instance);
        }
        written
    }

    /// Which sink it is.
    pub(crate) fn identity(&self) -> &Identity {
        self.sink.identity()
    }

    /// Closes the instances, if there are any.
    pub async fn close(self) {
        let closing = self.idle.into_iter().map(SinkInstance::close);
        for closed in join_all(closing).await {
            if let Err(error) = closed {
                let plugin = &self.sink.identity().source;
                tracing::warn!(plugin, %error, "the sink did not close cleanly");
            }
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
