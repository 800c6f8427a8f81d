//! Accepts connections and serves each in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::context::Context;
use super::routes;

/// How many connections are served at once; further ones wait. Consul allows 200
/// per address, but here all clients have the same address.
const MAX_CONNECTIONS: usize = 4096;
/// The limit for receiving the head of a request, idle time included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause after a failed accept, which fails again until a file descriptor
/// is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves until the future is dropped, which also closes the connections.
pub(crate) async fn serve(listener: TcpListener, context: Arc<Context>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the coordinator could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
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
                .header_read_timeout(HEAD_TIMEOUT)
                // Scripts match on X-Consul-Index, not on x-consul-index.
                .title_case_headers(true)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection to the coordinator ended with an error");
            }
        });
    }
}
