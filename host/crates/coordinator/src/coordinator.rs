//! The whole coordinator: its thread, its runtime, and their end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;

use super::checks::Checks;
use super::disk::{Disk, DiskError};
use super::http::{Context, NodeIdentity, serve};
use super::hub::{DiskThread, Hub};
use super::ttl::Ttls;

/// The node's name in the catalog.
const NODE: &str = "coordinator";

/// What can be set.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// Where Consul's API is served.
    pub listen: SocketAddr,
    /// Where keys are kept.
    pub data_dir: PathBuf,
}

/// Why there is no coordinator.
#[derive(Debug, Error)]
pub enum CoordinatorError {
    /// Another program has the port.
    #[error(
        "serve the coordinator on {address}: port {port} is in use, perhaps by a Consul or by \
         another coordinator; choose another port, such as {alternative}, and set \
         CONSUL_HTTP_ADDR={alternative} for all that shall use it"
    )]
    PortInUse {
        /// As it was given.
        address: SocketAddr,
        /// Its port.
        port: u16,
        /// One that is free.
        alternative: SocketAddr,
    },
    /// The address can not be used.
    #[error("serve the coordinator on {address}")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The data directory can not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No client for health checks.
    #[error("set up the client for health checks")]
    Client(#[source] reqwest::Error),
    /// No thread or no runtime.
    #[error("start the coordinator's thread")]
    Thread(#[source] io::Error),
}

/// A coordinator that serves. It ends, with everything written, when it is
/// dropped.
#[derive(Debug)]
pub struct Coordinator {
    address: SocketAddr,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Ends after the thread that serves.
    _disk: DiskThread,
}

impl Coordinator {
    /// Binds, reads what is on disk, and serves on a thread of its own.
    ///
    /// # Errors
    /// Says what can not be had, and names it.
    pub fn start(config: &CoordinatorConfig) -> Result<Self, CoordinatorError> {
        let listener = bind(config.listen)?;
        let address = listener
            .local_addr()
            .map_err(|cause| listen(config.listen, cause))?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "the coordinator can be reached from other machines: it asks nobody for a token, \
                 and who can write to it decides what runs here"
            );
        }
        let (disk, saved) = Disk::open(&config.data_dir)?;
        let (hub, disk) = Hub::start(NODE, disk, saved)?;
        let checks = Checks::new(Arc::clone(&hub)).map_err(CoordinatorError::Client)?;
        let context = Arc::new(Context {
            hub,
            ttls: Arc::new(Ttls::new()),
            checks,
            node: NodeIdentity::new(NODE, host(address.ip()).to_string(), address),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(CoordinatorError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("coordinator".to_owned())
            .spawn(move || runtime.block_on(run(listener, context, stopped)))
            .map_err(CoordinatorError::Thread)?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
            _disk: disk,
        })
    }

    /// Where it serves.
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
            tracing::error!("the coordinator's thread had panicked");
        }
    }
}

async fn run(listener: TcpListener, context: Arc<Context>, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the coordinator could not listen");
            return;
        }
    };
    let ttls = Arc::clone(&context.ttls);
    tokio::select! {
        () = serve(listener, Arc::clone(&context)) => {}
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

/// An address with a port nearby that is free at the moment.
fn free_beside(address: SocketAddr) -> Option<SocketAddr> {
    let from = address.port().saturating_add(1);
    let mut others = (from..=from.saturating_add(100)).chain([0]);
    others.find_map(|port| {
        let listener = TcpListener::bind(SocketAddr::new(address.ip(), port)).ok()?;
        listener.local_addr().ok()
    })
}

/// The address by which this machine is known: the one that is listened on; if
/// that is any, the one that it has towards others.
fn host(listen: IpAddr) -> IpAddr {
    if !listen.is_unspecified() {
        return listen;
    }
    let towards_others = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Nothing is sent: connecting finds the route. The address is one that
        // is kept for documentation.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok::<_, io::Error>(socket.local_addr()?.ip())
    };
    towards_others().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
