//! The server for clients: its addresses, its connections, and their end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, watch};

use super::acceptor::Acceptor;
use super::call_memory::CallMemory;
use super::connections::{Connections, Patience};
use super::gate::Gate;
use super::head_memory::heads;
use super::listener::{Listener, Speech};
use super::other_nodes::OtherNodes;
use super::serving::{Entrance, Serving};
use super::stage::Stage;
use super::workers::Workers;
use crate::tls::{Tls, TlsUse};
use sluice_access::Audit;
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
/// Why the server cannot start.
#[derive(Debug, Error)]
pub(crate) enum ServerError {
    #[error("listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error("listen for clients: there is no address")]
    NoAddress,
}

/// The settings of the server for clients.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// The addresses to listen on; at least one. Other nodes connect to the first.
    pub(crate) listen: Vec<SocketAddr>,
    /// The addresses for OTLP over gRPC.
    pub(crate) otlp_grpc: Vec<SocketAddr>,
    /// The certificate and key, for HTTPS.
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

/// The routes on each kind of address.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) http: Router,
    pub(crate) grpc: Router,
    /// Where refusals are written.
    pub(crate) audit: Audit,
}

#[cfg(test)]
impl From<Router> for Routes {
    fn from(http: Router) -> Self {
        let grpc = http.clone();
        Self {
            http,
            grpc,
            audit: Audit::discarded(),
        }
    }
}

/// Listening sockets on which nothing is accepted yet.
#[derive(Debug)]
pub(crate) struct BoundServer {
    listeners: Vec<Listener>,
    /// That of the first.
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
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            otlp_grpc: Vec::new(),
            connections,
            connections_per_source: Some(0),
            origins: Vec::new(),
            write_timeout: Duration::from_secs(60),
        }
    }

    /// The number of addresses.
    pub(crate) const fn addresses(&self) -> usize {
        self.listen.len() + self.otlp_grpc.len()
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
    /// Binds the addresses. With `tls`, clients speak HTTPS.
    ///
    /// # Errors
    /// One of the addresses cannot be bound.
    pub(crate) fn bind(config: &ServerConfig, tls: Option<Tls>) -> Result<Self, ServerError> {
        let http = config.listen.iter().map(|address| (*address, Speech::Http));
        let grpc = config.otlp_grpc.iter();
        let grpc = grpc.map(|address| (*address, Speech::OtlpGrpc));
        let bind = |(address, speech)| {
            Listener::bind(address, speech).map_err(|cause| ServerError::Listen { address, cause })
        };
        let listeners: Vec<_> = http.chain(grpc).map(bind).collect::<Result<_, _>>()?;
        let first = listeners.first().ok_or(ServerError::NoAddress)?;
        Ok(Self {
            address: first.address,
            listeners,
            tls,
            connections: config.connections,
            per_source: config.per_source(),
            gate: Arc::new(Gate::new(config.origins.clone())),
            write_timeout: config.write_timeout,
        })
    }

    /// The address that other nodes connect to, as it was bound.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// All addresses that were bound, and what their clients speak.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (SocketAddr, Speech)> + '_ {
        let listeners = self.listeners.iter();
        listeners.map(|listener| (listener.address, listener.speech))
    }

    /// Starts accepting connections, and serves the routes on them.
    pub(crate) fn start(
        self,
        routes: Routes,
        nodes: OtherNodes,
        metrics: Arc<Metrics>,
        workers: Workers,
    ) -> Server {
        let (stage, stages) = watch::channel(Stage::Serving);
        // Nothing is sent: it says whether a connection is open.
        let (open_in, open) = mpsc::channel(1);
        let connections = Connections::new(self.per_source, PATIENCE, nodes, metrics);
        let acceptor = Acceptor {
            listeners: self.listeners,
            serving: Arc::new(Serving {
                alone: Arc::new(Semaphore::new(self.connections)),
                grpc: Entrance {
                    routes: TowerToHyperService::new(routes.grpc),
                    tls: self.tls.as_ref().map(|tls| tls.used_for(TlsUse::Grpc)),
                },
                http: Entrance {
                    routes: TowerToHyperService::new(routes.http),
                    tls: self.tls,
                },
                gate: self.gate,
                audit: routes.audit,
                heads: heads(),
                calls: CallMemory::default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_client_that_takes_no_answer_is_cut_off() {
        let config = ServerConfig {
            write_timeout: Duration::from_millis(100),
            ..ServerConfig::local(1)
        };
        let bound = BoundServer::bind(&config, None).unwrap();
        let address = bound.address();
        // More than the sockets of both sides can buffer.
        let much = axum::routing::get(|| async { vec![b'x'; 64 << 20] });
        let router = Router::new().route("/", much);
        let server = bound.start(
            router.into(),
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
        let bound = BoundServer::bind(&config, None).unwrap();
        let address = bound.address();
        let echo = axum::routing::post(|body: String| async { body });
        let metrics = Arc::new(Metrics::new());
        let router = Router::new().route("/", echo);
        let nodes = OtherNodes::fake(None, &[]);
        let server = bound.start(router.into(), nodes, Arc::clone(&metrics), Workers::here());
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

    #[tokio::test]
    async fn all_addresses_have_the_same_routes_and_share_the_connections() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = ServerConfig {
            listen: vec![local, local],
            ..ServerConfig::local(1)
        };
        let bound = BoundServer::bind(&config, None).unwrap();
        let addresses: Vec<_> = bound.addresses().map(|(address, _)| address).collect();
        assert_eq!(addresses[0], bound.address());
        let echo = axum::routing::post(|body: String| async { body });
        let server = bound.start(
            Router::new().route("/", echo).into(),
            OtherNodes::fake(None, &[]),
            Arc::new(Metrics::new()),
            Workers::here(),
        );
        let mut first = TcpStream::connect(addresses[0]).await.unwrap();
        assert_eq!(ask(&mut first).await, "HTTP/1.1 200 OK");
        // Only one may be open, so that of the other address ends.
        let mut second = TcpStream::connect(addresses[1]).await.unwrap();
        assert_eq!(ask(&mut second).await, "HTTP/1.1 200 OK");
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(20), first.read_to_end(&mut rest));
        // It may be told with a reset.
        drop(end.await.expect("the first connection ends"));
        server.leave(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_bound_is_named() {
        let taken = BoundServer::bind(&ServerConfig::local(1), None).unwrap();
        let config = ServerConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0)), taken.address()],
            ..ServerConfig::local(1)
        };
        let error = BoundServer::bind(&config, None).unwrap_err();
        assert_eq!(error.to_string(), format!("listen on {}", taken.address()));
    }
}
