//! Accepts connections and serves each in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Context, routes};

/// Connections at once; more wait. Consul's own limit is 200 from one address,
/// but here everybody has the same.
const CONNECTIONS: usize = 4096;
/// The time for the head of a request, and between two of them.
const HEAD: Duration = Duration::from_secs(120);

/// Serves until it is dropped, and its connections with it.
pub(crate) async fn serve(listener: TcpListener, context: Arc<Context>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the coordinator could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let context = Arc::clone(&context);
        connections.spawn(async move {
            let service = service_fn(move |request| routes::answer(Arc::clone(&context), request));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                // Scripts look for X-Consul-Index, not for x-consul-index.
                .title_case_headers(true)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection to the coordinator ended with an error");
            }
        });
    }
}
