//! Starts the export.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SpanExporter as _;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder};
use thiserror::Error;

use crate::buffer::Buffer;
use crate::config::TracesConfig;
use crate::exporting::{Count, Exporting};
use crate::node::Node;
use crate::node_tracer::NodeTracer;
use crate::resource::resource;

/// Why spans cannot be exported.
#[derive(Debug, Error)]
pub enum StartError {
    /// The authorities cannot be read.
    #[error("read the authorities in {}, for the export of traces", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The authorities are none.
    #[error("use the authorities in {}, for the export of traces", .file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// There can be no client.
    #[error("set up the HTTP client that exports traces")]
    Client(#[source] reqwest::Error),
    /// A variable that only the exporter reads cannot be used.
    #[error("set up the export of traces")]
    Exporter(#[source] ExporterBuildError),
    /// There can be no thread for it.
    #[error("start the thread that exports traces")]
    Thread(#[source] io::Error),
}

/// Starts the thread that exports spans. `client` is the base of its HTTP client, which
/// has proxies and, if [`TracesConfig::needs_authorities`], TLS. `count` hears what
/// becomes of spans.
///
/// # Errors
/// What the variables ask for cannot be had.
pub fn start(
    config: &TracesConfig,
    node: &Node,
    client: ClientBuilder,
    count: Count,
) -> Result<(Arc<NodeTracer>, Exporting), StartError> {
    let mut builder = client
        .redirect(Policy::none())
        .timeout(config.request_limit)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &config.authorities {
        builder = builder.tls_certs_only(authorities(file)?);
    }
    let client = builder.build().map_err(StartError::Client)?;
    // It reads headers and compression from its variables itself.
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&config.endpoint)
        .with_timeout(config.request_limit)
        .build()
        .map_err(StartError::Exporter)?;
    exporter.set_resource(&resource(node));
    let buffer = Arc::new(Buffer::new(config.queue, config.batch));
    let exporting = Exporting::start(config, exporter, Arc::clone(&buffer), Arc::clone(&count));
    let tracer = NodeTracer::new(config.sampler, buffer, count);
    Ok((Arc::new(tracer), exporting.map_err(StartError::Thread)?))
}

fn authorities(file: &PathBuf) -> Result<Vec<Certificate>, StartError> {
    let pem = std::fs::read(file).map_err(|cause| StartError::File {
        file: file.clone(),
        cause,
    })?;
    Certificate::from_pem_bundle(&pem).map_err(|cause| StartError::Authorities {
        file: file.clone(),
        cause,
    })
}
