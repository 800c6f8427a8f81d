//! Connections: accepting them, bounding their number, and ending them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::drain_rate::DrainRate;
use super::tls::{Tls, TlsError, TlsFiles};
use sluice_delivery::metrics::Metrics;

/// The time for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The time for the head of a request; also how long a connection may be idle.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// The most bytes of a connection that are read before they are asked for.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// The most connections that wait to be accepted. Beyond that the system drops
/// the handshake, and a client tries again only after a second. Linux takes
/// `net.core.somaxconn` if that is less (its default since 5.4: 4096).
const ACCEPT_BACKLOG: u32 = 4096;
/// The wait after the system had no descriptor or no memory for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

/// Why the server cannot start.
#[derive(Debug, Error)]
pub(crate) enum ServerError {
    #[error("listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The settings of the server for clients.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// The address to listen on.
    pub(crate) listen: SocketAddr,
    /// The certificate and key, for HTTPS.
    pub(crate) tls: Option<TlsFiles>,
    /// The most open connections; more wait to be accepted.
    pub(crate) connections: usize,
    /// How long a client may take nothing of its answer before the connection
    /// is cut.
    pub(crate) write_timeout: Duration,
}

/// How far the server's shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// No new connections; those that are open are answered.
    Closed,
    /// Open connections end after the request that is under way.
    Leaving,
}

/// A listening socket that accepts nothing yet.
#[derive(Debug)]
pub(crate) struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    connections: usize,
    write_timeout: Duration,
}

impl BoundServer {
    /// Reads the certificate, if there is one, and binds the address.
    pub(crate) fn bind(config: &ServerConfig) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(Tls::from_files).transpose()?;
        let listener = listen(config.listen).map_err(|cause| ServerError::Listen {
            address: config.listen,
            cause,
        })?;
        let address = listener.local_addr().unwrap_or(config.listen);
        Ok(Self {
            listener,
            address,
            tls,
            connections: config.connections,
            write_timeout: config.write_timeout,
        })
    }

    /// The address that was bound.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether clients speak HTTPS.
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Starts accepting connections, and serves the router on them.
    pub(crate) fn start(self, router: Router, metrics: Arc<Metrics>) -> Server {
        let (stage, stages) = watch::channel(Stage::Serving);
        let acceptor = Acceptor {
            listener: self.listener,
            router,
            tls: self.tls,
            write_timeout: self.write_timeout,
            metrics,
            stages,
        };
        Server {
            stage,
            accepting: tokio::spawn(acceptor.run(self.connections)),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As std does it: a restart need not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    stage: watch::Sender<Stage>,
    accepting: tokio::task::JoinHandle<JoinSet<()>>,
}

impl Server {
    /// Stops accepting connections; open ones go on.
    pub(crate) fn close(&self) {
        self.stage.send_replace(Stage::Closed);
    }

    /// Ends open connections once they are idle, and all of them after `limit`.
    pub(crate) async fn leave(self, limit: Duration) {
        self.stage.send_replace(Stage::Leaving);
        let left = async {
            match self.accepting.await {
                Ok(mut connections) => while connections.join_next().await.is_some() {},
                Err(error) => tracing::error!(%error, "the task that accepts connections ended"),
            }
        };
        if tokio::time::timeout(limit, left).await.is_err() {
            tracing::debug!("cutting connections that did not end in time");
        }
    }
}

struct Acceptor {
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    write_timeout: Duration,
    metrics: Arc<Metrics>,
    stages: watch::Receiver<Stage>,
}

impl Acceptor {
    async fn run(self, connections: usize) -> JoinSet<()> {
        let slots = Arc::new(Semaphore::new(connections));
        let mut connections = JoinSet::new();
        let mut stages = self.stages.clone();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                _ = stages.wait_for(|stage| *stage != Stage::Serving) => break,
                accepted = self.accept(&slots) => accepted,
            };
            let Some((permit, stream)) = accepted else {
                break;
            };
            let connection = self.serve(stream);
            let metrics = Arc::clone(&self.metrics);
            connections.spawn(async move {
                metrics.connections.inc();
                connection.await;
                metrics.connections.dec();
                drop(permit);
            });
        }
        connections
    }

    /// Waits for the next connection. An error of one never ends the server.
    async fn accept(
        &self,
        slots: &Arc<Semaphore>,
    ) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
        let permit = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "could not set TCP_NODELAY");
                    }
                    return Some((permit, stream));
                }
                Err(error) => {
                    let of_the_client = matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::ConnectionRefused
                    );
                    if !of_the_client {
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(EXHAUSTED_WAIT).await;
                    }
                }
            }
        }
    }

    /// Serves one connection to its end; a slow handshake holds up only itself.
    fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let (router, stages) = (self.router.clone(), self.stages.clone());
        let (tls, write_timeout) = (self.tls.clone(), self.write_timeout);
        async move {
            let stream = DrainRate::new(stream, write_timeout);
            match tls {
                None => serve_http(stream, router, stages).await,
                Some(tls) => {
                    match tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
                        Ok(Ok(stream)) => serve_http(stream, router, stages).await,
                        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                        Err(_) => tracing::debug!("a TLS handshake took too long"),
                    }
                }
            }
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut stages: watch::Receiver<Stage>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(READ_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let leaving = async move {
        // If the server is gone, that means the same.
        drop(stages.wait_for(|stage| *stage == Stage::Leaving).await);
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leaving => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_client_that_takes_no_answer_is_cut_off() {
        let config = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            connections: 1,
            write_timeout: Duration::from_millis(100),
        };
        let bound = BoundServer::bind(&config).unwrap();
        let address = bound.address();
        // More than the sockets of both sides can buffer.
        let much = axum::routing::get(|| async { vec![b'x'; 64 << 20] });
        let router = Router::new().route("/", much);
        let server = bound.start(router, Arc::new(Metrics::new()));
        // Only one may be open, so the second shows that the first is gone.
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut silent = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            silent.write_all(request).await.unwrap();
            let answered = tokio::time::timeout(Duration::from_secs(20), silent.readable());
            answered.await.expect("not before this").unwrap();
            clients.push(silent);
        }
        server.leave(Duration::ZERO).await;
    }
}
