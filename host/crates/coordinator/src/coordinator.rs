//! Starts the coordinator on a thread of its own, and stops it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

use super::checks::Checks;
use super::disk::{Disk, DiskError};
use super::http::{Connections, Context, Hosts, LARGE_BODIES, NodeIdentity, serve};
use super::hub::{DiskThread, Hub};
use super::ttl::Ttls;

/// The node's name in the catalog.
const NODE_NAME: &str = "coordinator";

/// The coordinator's settings.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// The address that Consul's API is served on.
    pub listen: SocketAddr,
    /// The directory of the file that keeps the keys.
    pub data_dir: PathBuf,
    /// Names by which clients reach the coordinator, besides `localhost` and any
    /// address.
    pub hosts: Vec<String>,
    /// The most connections that are served at once. It is held to
    /// [`MAX_CONNECTIONS`](crate::MAX_CONNECTIONS).
    pub connections: usize,
}

/// Why the coordinator could not be started.
#[derive(Debug, Error)]
pub enum CoordinatorError {
    /// Another program uses the port.
    #[error(
        "serve the coordinator on {address}: port {port} is in use, perhaps by a Consul or by \
         another coordinator; choose another port, such as {alternative}, and set \
         CONSUL_HTTP_ADDR={alternative} for every program that uses it"
    )]
    PortInUse {
        /// The configured address.
        address: SocketAddr,
        /// Its port.
        port: u16,
        /// An address that is free.
        alternative: SocketAddr,
    },
    /// The address cannot be used.
    #[error("serve the coordinator on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The error of the socket.
        #[source]
        cause: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The HTTP client for health checks cannot be created.
    #[error("set up the client for health checks")]
    Client(#[source] reqwest::Error),
    /// The thread or its runtime cannot be started.
    #[error("start the coordinator's thread")]
    Thread(#[source] io::Error),
}

/// A running coordinator. Dropping it writes everything to disk and stops it.
#[derive(Debug)]
pub struct Coordinator {
    address: SocketAddr,
    /// Dropping it stops the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Dropped last, after the thread that serves has ended.
    _disk: DiskThread,
}

impl Coordinator {
    /// Binds the address, reads the file, and serves on a thread of its own.
    ///
    /// # Errors
    /// The address is in use or the file cannot be opened.
    pub fn start(config: &CoordinatorConfig) -> Result<Self, CoordinatorError> {
        let listener = bind(config.listen)?;
        let address = listener
            .local_addr()
            .map_err(|cause| listen(config.listen, cause))?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "other machines can reach the coordinator: it requires no token, and everybody who \
                 can write to it decides which sink runs here"
            );
        }
        let (disk, saved) = Disk::open(&config.data_dir)?;
        let (hub, disk) = Hub::start(NODE_NAME, disk, saved)?;
        let checks = Checks::new(Arc::clone(&hub)).map_err(CoordinatorError::Client)?;
        let context = Arc::new(Context {
            hub,
            ttls: Arc::new(Ttls::new()),
            checks,
            node: NodeIdentity::new(NODE_NAME, advertised(address.ip()).to_string(), address),
            hosts: Hosts::new(&config.hosts),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)),
        });
        // Large answers keep their tasks busy. By default, the runtime looks for
        // what arrives, and for what other threads have done, only after dozens of
        // tasks, and each of these may have sent megabytes.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .event_interval(2)
            .global_queue_interval(2)
            .enable_all()
            .build()
            .map_err(CoordinatorError::Thread)?;
        let connections = Connections::new(config.connections);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("coordinator".to_owned())
            .spawn(move || runtime.block_on(run(listener, connections, context, stopped)))
            .map_err(CoordinatorError::Thread)?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
            _disk: disk,
        })
    }

    /// The address that it listens on, with the actual port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the coordinator's thread panicked");
        }
    }
}

async fn run(
    listener: TcpListener,
    connections: Connections,
    context: Arc<Context>,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the coordinator could not listen");
            return;
        }
    };
    let ttls = Arc::clone(&context.ttls);
    tokio::select! {
        () = serve(listener, connections, Arc::clone(&context)) => {}
        () = ttls.run(&context.hub) => {}
        _ = stopped => {}
    }
    context.checks.stop_all();
}

fn bind(address: SocketAddr) -> Result<TcpListener, CoordinatorError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|cause| {
        let is_taken = cause.kind() == io::ErrorKind::AddrInUse;
        match free_beside(address).filter(|_| is_taken) {
            Some(alternative) => CoordinatorError::PortInUse {
                address,
                port: address.port(),
                alternative,
            },
            None => listen(address, cause),
        }
    })
}

fn listen(address: SocketAddr, cause: io::Error) -> CoordinatorError {
    CoordinatorError::Listen { address, cause }
}

/// An address with a nearby port that is free at the moment.
fn free_beside(address: SocketAddr) -> Option<SocketAddr> {
    let from = address.port().saturating_add(1);
    let mut others = (from..=from.saturating_add(100)).chain([0]);
    others.find_map(|port| {
        let listener = TcpListener::bind(SocketAddr::new(address.ip(), port)).ok()?;
        listener.local_addr().ok()
    })
}

/// The address of this machine for others: the one that is listened on, or, if
/// that is unspecified, the one that outgoing packets have.
fn advertised(listen: IpAddr) -> IpAddr {
    if !listen.is_unspecified() {
        return listen;
    }
    let outgoing = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Connecting a UDP socket only looks up the route and sends nothing. The
        // address is reserved for documentation.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok::<_, io::Error>(socket.local_addr()?.ip())
    };
    outgoing().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
