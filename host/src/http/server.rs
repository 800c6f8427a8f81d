//! Connections: accepting them, bounding their number, and ending them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::connection_task::OpenConnection;
use super::connections::{Connections, Patience, Place};
use super::gate::Gate;
use super::head_memory::heads;
use super::other_nodes::OtherNodes;
use super::serving::Serving;
use super::stage::Stage;
use super::tls::{Tls, TlsError, TlsFiles};
use super::workers::Workers;
use sluice_delivery::metrics::Metrics;
use sluice_types::origin::Origin;

/// 10 s for the head of a request, a minute between requests.
const PATIENCE: Patience = Patience {
    round: Duration::from_millis(500),
    head: 20,
    idle: 120,
};
/// The part of all connections that one source may have if nothing else is set.
const SOURCE_PART: usize = 4;
/// The wait for an idle connection to end before further ones are chosen.
const EVICTION_WAIT: Duration = Duration::from_millis(50);
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
    /// The most open connections of one source; `None` for a quarter of all,
    /// 0 for no bound.
    pub(crate) connections_per_source: Option<usize>,
    /// Whose web pages may send requests that change something.
    pub(crate) origins: Vec<Origin>,
    /// How long a client may take nothing of its answer before the connection
    /// is cut.
    pub(crate) write_timeout: Duration,
}

/// A listening socket that accepts nothing yet.
#[derive(Debug)]
pub(crate) struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    connections: usize,
    per_source: usize,
    gate: Arc<Gate>,
    write_timeout: Duration,
}

impl ServerConfig {
    /// For tests: any port of this machine, and so many connections of any source.
    #[cfg(test)]
    pub(super) fn local(connections: usize) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            connections,
            connections_per_source: Some(0),
            origins: Vec::new(),
            write_timeout: Duration::from_secs(60),
        }
    }

    fn per_source(&self) -> usize {
        match self.connections_per_source {
            None => (self.connections / SOURCE_PART).max(1),
            Some(0) => usize::MAX,
            Some(most) => most,
        }
    }
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
            per_source: config.per_source(),
            gate: Arc::new(Gate::new(config.origins.clone())),
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
    pub(crate) fn start(
        self,
        router: Router,
        nodes: OtherNodes,
        metrics: Arc<Metrics>,
        workers: Workers,
    ) -> Server {
        let (stage, stages) = watch::channel(Stage::Serving);
        // Nothing is sent: it says whether a connection is open.
        let (open_in, open) = mpsc::channel(1);
        let connections = Connections::new(self.per_source, PATIENCE, nodes, metrics);
        let acceptor = Acceptor {
            listener: self.listener,
            serving: Arc::new(Serving {
                service: TowerToHyperService::new(router),
                gate: self.gate,
                tls: self.tls,
                heads: heads(),
                write_timeout: self.write_timeout,
            }),
            connections: Arc::clone(&connections),
            slots: Arc::new(Semaphore::new(self.connections)),
            stages,
            open: open_in,
            workers,
        };
        Server {
            stage,
            accepting: tokio::spawn(acceptor.run()),
            connections,
            open,
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
    accepting: tokio::task::JoinHandle<()>,
    connections: Arc<Connections>,
    /// Ends with the last connection, once no more are accepted.
    open: mpsc::Receiver<()>,
}

impl Server {
    /// Stops accepting connections; open ones go on.
    pub(crate) fn close(&self) {
        self.stage.send_replace(Stage::Closed);
    }

    /// Ends open connections once they are idle, and all of them after `limit`.
    pub(crate) async fn leave(mut self, limit: Duration) {
        self.stage.send_replace(Stage::Leaving);
        let left = async {
            if let Err(error) = self.accepting.await {
                tracing::error!(%error, "the task that accepts connections ended");
            }
            while self.open.recv().await.is_some() {}
        };
        if tokio::time::timeout(limit, left).await.is_err() {
            tracing::debug!("cutting connections that did not end in time");
            self.connections.cut();
        }
    }
}

struct Acceptor {
    listener: TcpListener,
    serving: Arc<Serving>,
    connections: Arc<Connections>,
    slots: Arc<Semaphore>,
    stages: watch::Receiver<Stage>,
    open: mpsc::Sender<()>,
    workers: Workers,
}

impl Acceptor {
    /// Accepts connections until the server closes.
    async fn run(self) {
        tokio::select! {
            () = self.accept_all() => {}
            () = self.connections.end_stale() => {}
        }
    }

    async fn accept_all(&self) {
        let mut stages = self.stages.clone();
        loop {
            let accepted = tokio::select! {
                _ = stages.wait_for(|stage| *stage != Stage::Serving) => return,
                accepted = self.accept() => accepted,
            };
            let Some((stream, place, permit)) = accepted else {
                return;
            };
            let serving = self.serving.serve(stream, &place, self.stages.clone());
            let connection = OpenConnection {
                serving: Box::pin(serving),
                place,
                _permit: permit,
                _open: self.open.clone(),
                workers: self.workers.clone(),
            };
            connection.begin_on(self.workers.for_a_new_one());
        }
    }

    /// Waits for the next connection that there is room for. An error of one
    /// never ends the server.
    async fn accept(&self) -> Option<(TcpStream, Place, OwnedSemaphorePermit)> {
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    wait_after(&error).await;
                    continue;
                }
            };
            let Some(place) = self.connections.enter(address.ip()) else {
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "could not set TCP_NODELAY");
            }
            return Some((stream, place, self.slot().await?));
        }
    }

    /// Waits for room for another connection, and makes some if connections are
    /// idle.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(permit);
        }
        loop {
            self.connections.evict_idle();
            let freed = Arc::clone(&self.slots).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(EVICTION_WAIT, freed).await {
                return permit.ok();
            }
        }
    }
}

/// Waits after an error of the system, such as a lack of descriptors.
async fn wait_after(error: &io::Error) {
    let is_of_the_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !is_of_the_client {
        tracing::warn!(%error, "could not accept a connection");
        tokio::time::sleep(EXHAUSTED_WAIT).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_client_that_takes_no_answer_is_cut_off() {
        let config = ServerConfig {
            write_timeout: Duration::from_millis(100),
            ..ServerConfig::local(1)
        };
        let bound = BoundServer::bind(&config).unwrap();
        let address = bound.address();
        // More than the sockets of both sides can buffer.
        let much = axum::routing::get(|| async { vec![b'x'; 64 << 20] });
        let router = Router::new().route("/", much);
        let server = bound.start(
            router,
            OtherNodes::fake(None, &[]),
            Arc::new(Metrics::new()),
            Workers::here(),
        );
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

    #[test]
    fn a_source_may_have_a_quarter_of_all_connections_unless_it_is_said() {
        let most = |connections, connections_per_source| {
            let config = ServerConfig {
                connections_per_source,
                ..ServerConfig::local(connections)
            };
            config.per_source()
        };
        assert_eq!(most(10_000, None), 2500);
        assert_eq!(most(2, None), 1);
        assert_eq!(most(10_000, Some(7)), 7);
        assert_eq!(most(10_000, Some(0)), usize::MAX);
    }

    async fn ask(stream: &mut TcpStream) -> String {
        let request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx";
        stream.write_all(request).await.unwrap();
        let mut answer = vec![0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_full_server_ends_an_idle_connection_for_a_new_one() {
        let config = ServerConfig::local(2);
        let bound = BoundServer::bind(&config).unwrap();
        let address = bound.address();
        let echo = axum::routing::post(|body: String| async { body });
        let metrics = Arc::new(Metrics::new());
        let router = Router::new().route("/", echo);
        let nodes = OtherNodes::fake(None, &[]);
        let server = bound.start(router, nodes, Arc::clone(&metrics), Workers::here());
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut used = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut used).await, "HTTP/1.1 200 OK");
        let mut new = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut new).await, "HTTP/1.1 200 OK");
        // The one that has been waiting for longest is gone.
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert!(metrics.connections.get() <= 2);
        server.leave(Duration::ZERO).await;
    }
}
