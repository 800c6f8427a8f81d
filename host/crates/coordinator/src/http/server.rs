//! Accepts connections and serves each in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::connection::{Connection, Connections};
use super::context::Context;
use super::routes;

/// The limit for receiving the head of a request, idle time included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// The most bytes of a request's head, and of an answer that is not sent yet.
const MAX_BUFFER: usize = 64 * 1024;
/// The pause after a failed accept, which fails again until a file descriptor
/// is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves until the future is dropped, which also closes the connections.
pub(crate) async fn serve(
    listener: TcpListener,
    mut connections: Connections,
    context: Arc<Context>,
) {
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let connection = connections.add(peer);
                tasks.spawn(serve_one(stream, connection, Arc::clone(&context)));
            }
            Err(error) => {
                tracing::warn!(%error, "the coordinator could not accept a connection");
                connections.make_room();
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, connection: Arc<Connection>, context: Arc<Context>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let asked = Arc::clone(&connection);
    let service = service_fn(move |request| {
        routes::answer(Arc::clone(&context), Arc::clone(&asked), request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        // Scripts match on X-Consul-Index, not on x-consul-index.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::debug!(%error, "a connection to the coordinator ended with an error");
            }
        }
        () = connection.until_closed() => {
            tracing::debug!(peer = %connection.peer, "closed a connection to the coordinator");
        }
    }
}
