//! Connections: accepting them, bounding them, and letting them go.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use sluice_delivery::metrics::Metrics;

/// The time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The time for the head of a request; also how long a connection may idle.
const HEAD: Duration = Duration::from_secs(60);
/// The most bytes of a connection that are read before they are asked for.
const BUFFER: usize = 64 << 10;
/// The most connections that wait to be accepted. Of those beyond, the system drops the handshake,
/// and a client tries again only after a second. Linux takes `net.core.somaxconn` if that is less
/// (its default since 5.4: 4096).
const WAITING: u32 = 4096;
/// The wait after the system has no descriptor or room for a connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// What keeps the server from starting.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address can not be listened on.
    #[error("listen on {address}")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The certificate or the key can not be read.
    #[error("read {}", .file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// They do not fit together.
    #[error("use the TLS certificate and key")]
    Tls(#[source] rustls::Error),
}

/// Bounds on what clients can hold.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take nothing of its answer before it is cut off.
    pub taking: Duration,
}

/// The certificate of a node.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// Names the file that can not be read.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, ServerError> {
        let pem = |file: &Path| {
            let file = file.to_owned();
            move |cause| ServerError::Pem { file, cause }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(pem(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(ServerError::Tls)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// No new connections; those that are open are answered.
    Closed,
    /// Open connections end after the request that they are at.
    Leaving,
}

/// A listening socket that serves a router until it is told to stop.
#[derive(Debug)]
pub struct Server {
    stage: watch::Sender<Stage>,
    accepting: tokio::task::JoinHandle<JoinSet<()>>,
}

impl Server {
    /// Listens; nothing is accepted yet.
    ///
    /// # Errors
    /// The address is taken, or not of this machine.
    pub fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
        let listen = || {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            // As std does it: a restart need not wait for old connections to be forgotten.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(WAITING)
        };
        listen().map_err(|cause| ServerError::Listen { address, cause })
    }

    /// Starts to accept.
    #[must_use]
    pub fn start(
        listener: TcpListener,
        router: Router,
        tls: Option<Tls>,
        limits: ServerLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (stage, stages) = watch::channel(Stage::Serving);
        let acceptor = Acceptor {
            listener,
            router,
            tls,
            taking: limits.taking,
            metrics,
            stages,
        };
        Self {
            stage,
            accepting: tokio::spawn(acceptor.run(limits.connections)),
        }
    }

    /// Stops to accept; open connections go on.
    pub fn close(&self) {
        self.stage.send_replace(Stage::Closed);
    }

    /// Ends open connections once they are idle, and all after `limit`.
    pub async fn leave(self, limit: Duration) {
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
    taking: Duration,
    metrics: Arc<Metrics>,
    stages: watch::Receiver<Stage>,
}

impl Acceptor {
    async fn run(self, connections: usize) -> JoinSet<()> {
        let room = Arc::new(Semaphore::new(connections));
        let mut connections = JoinSet::new();
        let mut stages = self.stages.clone();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                _ = stages.wait_for(|stage| *stage != Stage::Serving) => break,
                accepted = self.accept(&room) => accepted,
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

    /// The next connection; an error of one never ends the server.
    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
        let permit = Arc::clone(room).acquire_owned().await.ok()?;
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
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                }
            }
        }
    }

    /// Serves one connection to its end; a slow handshake holds up only itself.
    fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let (router, stages) = (self.router.clone(), self.stages.clone());
        let (tls, taking) = (self.tls.clone(), self.taking);
        async move {
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(taking));
            let stream = Box::pin(stream);
            match tls {
                None => serve_http(stream, router, stages).await,
                Some(Tls(acceptor)) => {
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
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
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let leaving = async move {
        // A server that is gone means the same.
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
        let listener = Server::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        // More than sockets keep for both.
        let much = axum::routing::get(|| async { vec![b'x'; 64 << 20] });
        let limits = ServerLimits {
            connections: 1,
            taking: Duration::from_millis(100),
        };
        let router = Router::new().route("/", much);
        let server = Server::start(listener, router, None, limits, Arc::new(Metrics::new()));
        // There is room for one, so the second shows that the first is gone.
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
