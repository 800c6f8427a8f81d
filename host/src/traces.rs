//! What makes and exports the spans of a node, if its environment asks for traces.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::http::ingest::RequestTracer;
use sluice_delivery::metrics::Metrics;
use sluice_sandbox::{TrustError, client_tls};
use sluice_traces::{Counted, Exporting, Node, StartError, TracesConfig};
use sluice_types::trace::Tracer;

/// The time for what waits to be exported when the node ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Why there can be no traces.
#[derive(Debug, Error)]
pub(crate) enum TracesError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// The traces of a node; without any if nobody asked for them.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    tracer: Option<Arc<dyn Tracer>>,
    exporting: Option<Exporting>,
}

impl Traces {
    /// Starts the export.
    pub(crate) fn start(
        config: Option<&TracesConfig>,
        node: &str,
        cluster: &str,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, TracesError> {
        let Some(config) = config else {
            return Ok(Self::default());
        };
        let mut client = reqwest::Client::builder().no_proxy();
        if config.needs_authorities() {
            client = client.tls_backend_preconfigured(client_tls()?);
        }
        let node = Node {
            name: node.to_owned(),
            cluster: cluster.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
        };
        let counts = [Counted::Exported, Counted::Dropped, Counted::Failed]
            .map(|counted| metrics.spans(name(counted)));
        let count = move |counted: Counted, spans: usize| {
            if let Some(counter) = counts.get(counted as usize) {
                counter.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
            }
        };
        let (tracer, exporting) = sluice_traces::start(config, &node, client, Arc::new(count))?;
        Ok(Self {
            tracer: Some(tracer),
            exporting: Some(exporting),
        })
    }

    /// Makes the spans, if there are any.
    pub(crate) fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        self.tracer.clone()
    }

    /// The same for requests of clients that use HTTPS or not.
    pub(crate) fn of_requests(&self, is_https: bool) -> Option<RequestTracer> {
        Some(RequestTracer {
            tracer: self.tracer()?,
            scheme: if is_https { "https" } else { "http" },
        })
    }

    /// Exports what waits, within a limit.
    pub(crate) async fn close(self) {
        if let Some(exporting) = self.exporting {
            exporting.close(FLUSH_LIMIT).await;
        }
    }
}

const fn name(counted: Counted) -> &'static str {
    match counted {
        Counted::Exported => "exported",
        Counted::Dropped => "dropped",
        Counted::Failed => "failed",
    }
}
