//! The thread that exports spans.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SpanExporter as _;
use sluice_types::trace::Span;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::buffer::Buffer;
use crate::config::TracesConfig;
use crate::span_data::span_data;

/// What became of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The receiver has them.
    Exported,
    /// Too many were waiting.
    Dropped,
    /// The receiver did not take them.
    Failed,
}

/// Hears what became of so many spans.
pub(crate) type Count = Arc<dyn Fn(Counted, usize) + Send + Sync>;

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// What waits is still exported.
    Closing,
    /// Nothing more is exported.
    Cut,
}

/// Exports spans until it is closed or dropped.
pub struct Exporting {
    stage: watch::Sender<Stage>,
    /// Closed once the thread does nothing more.
    done: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Exporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporting").finish_non_exhaustive()
    }
}

impl Exporting {
    pub(crate) fn start(
        config: &TracesConfig,
        exporter: SpanExporter,
        buffer: Arc<Buffer>,
        count: Count,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stage, stages) = watch::channel(Stage::Running);
        let (done_in, done) = watch::channel(());
        let exports = Exports {
            exporter,
            buffer,
            count,
            delay: config.delay,
            limit: config.export_limit,
            is_failing: false,
        };
        let thread = thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || {
                run(runtime, exports, stages);
                drop(done_in);
            })?;
        Ok(Self {
            stage,
            done,
            thread: Some(thread),
        })
    }

    /// Exports what waits, for at most `limit`.
    pub async fn close(mut self, limit: Duration) {
        self.stage.send_replace(Stage::Closing);
        // Only its end can come; it sends nothing.
        let is_done = timeout(limit, self.done.changed()).await.is_ok();
        if !is_done {
            tracing::warn!("not all spans could be exported before the end");
        }
        self.stage.send_replace(Stage::Cut);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that exports spans panicked");
        }
    }
}

/// What the thread works with.
struct Exports {
    exporter: SpanExporter,
    buffer: Arc<Buffer>,
    count: Count,
    delay: Duration,
    limit: Duration,
    is_failing: bool,
}

fn run(runtime: Runtime, mut exports: Exports, stages: watch::Receiver<Stage>) {
    let mut cut = stages.clone();
    runtime.block_on(async {
        tokio::select! {
            () = exports.run(stages) => {}
            () = reached(&mut cut, Stage::Cut) => {}
        }
    });
    // A name that is being looked up holds up nobody.
    runtime.shutdown_background();
}

/// Waits for a stage; if nobody holds the other side any more, it is the last one.
async fn reached(stages: &mut watch::Receiver<Stage>, stage: Stage) {
    let is_reached = |now: &Stage| *now == stage || *now == Stage::Cut;
    drop(stages.wait_for(is_reached).await);
}

impl Exports {
    async fn run(&mut self, mut stages: watch::Receiver<Stage>) {
        loop {
            let is_closing = tokio::select! {
                biased;
                () = reached(&mut stages, Stage::Closing) => true,
                () = self.buffer.filled() => false,
                () = sleep(self.delay) => false,
            };
            self.export_waiting().await;
            if is_closing {
                return;
            }
        }
    }

    /// Exports what waits now.
    async fn export_waiting(&mut self) {
        let mut left = self.buffer.len();
        while left > 0 {
            let spans = self.buffer.take();
            left = left.saturating_sub(spans.len().max(1));
            if !spans.is_empty() {
                self.export(spans).await;
            }
        }
    }

    async fn export(&mut self, spans: Vec<Span>) {
        let count = spans.len();
        let data = spans.into_iter().map(span_data).collect();
        let exporting = self.exporter.export(data);
        match within(self.limit, exporting).await {
            Ok(()) => {
                (self.count)(Counted::Exported, count);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("spans are exported again");
                }
            }
            Err(error) => {
                (self.count)(Counted::Failed, count);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        error,
                        "spans cannot be exported; they are dropped until they can"
                    );
                }
            }
        }
    }
}

async fn within<E: fmt::Display>(
    limit: Duration,
    exporting: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match timeout(limit, exporting).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it took longer than {} ms", limit.as_millis())),
    }
}
