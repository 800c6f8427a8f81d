//! All listeners of a node: bound, started, and ended.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_types::listen::listen;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::accept::Acceptor;
use super::address::{ListenAddress, Transport};
use super::config::{ListenerConfig, ListenersConfig};
use super::datagrams::Datagrams;
use super::log::Seldom;
use super::outlet::Outlet;
use super::outlets::Outlets;
use super::protocol::Protocol;
use super::shared::Shared;
use super::stage::Stage;
use crate::http::Workers;
use crate::tls::Tls;
use sluice_delivery::metrics::Metrics;

/// How much the system is asked to keep of datagrams that were not received yet,
/// in bytes. Linux gives at most `net.core.rmem_max`.
const DATAGRAM_BUFFER: usize = 4 << 20;

/// Why a listener cannot start.
#[derive(Debug, Error)]
pub(crate) enum ListenError {
    #[error("{} {address}", .protocol.flag())]
    Bind {
        protocol: Protocol,
        address: ListenAddress,
        #[source]
        cause: io::Error,
    },
    #[error("{} {address}: this protocol is not spoken over UDP", .protocol.flag())]
    NotOverUdp {
        protocol: Protocol,
        address: ListenAddress,
    },
    #[error("{} {address}: set --tls-cert and --tls-key", .protocol.flag())]
    NoCertificate {
        protocol: Protocol,
        address: ListenAddress,
    },
}

/// Sockets that nothing is read from yet.
#[derive(Debug)]
pub(crate) struct BoundListeners {
    bound: Vec<Bound>,
    tls: Option<Tls>,
    connections: usize,
}

#[derive(Debug)]
struct Bound {
    config: ListenerConfig,
    socket: BoundSocket,
}

#[derive(Debug)]
enum BoundSocket {
    Stream(TcpListener),
    Datagram(UdpSocket),
}

impl BoundListeners {
    /// Binds every address. `tls` is for those of `tls://`.
    pub(crate) fn bind(config: &ListenersConfig, tls: Option<Tls>) -> Result<Self, ListenError> {
        let bind = |config: &ListenerConfig| bind(config.clone(), tls.is_some());
        Ok(Self {
            bound: config
                .listeners
                .iter()
                .map(bind)
                .collect::<Result<_, _>>()?,
            tls,
            connections: config.connections,
        })
    }

    /// Begins to receive on all of them.
    pub(crate) fn start(
        self,
        outlets_of: &Outlets,
        metrics: &Metrics,
        workers: &Workers,
    ) -> Listeners {
        let (stage, stages) = watch::channel(Stage::Serving);
        // Nothing is sent: it says whether anything is open.
        let (alive_in, alive) = mpsc::channel(1);
        let slots = Arc::new(Semaphore::new(self.connections));
        let mut outlets: BTreeMap<Arc<str>, Arc<Outlet>> = BTreeMap::new();
        for Bound { config, socket } in self.bound {
            let stream = &config.address.stream;
            let outlet = outlets.entry(Arc::clone(stream));
            let outlet = outlet.or_insert_with(|| Arc::new(outlets_of.outlet(stream)));
            let metrics = metrics.listener(config.protocol.name());
            let shared = Arc::new(Shared {
                protocol: config.protocol,
                outlet: Arc::clone(outlet),
                metrics: metrics.clone(),
                problems: Seldom::default(),
            });
            let (stages, alive) = (stages.clone(), alive_in.clone());
            match socket {
                BoundSocket::Stream(listener) => {
                    let is_tls = config.address.transport == Transport::Tls;
                    let acceptor = Acceptor {
                        listener,
                        tls: self.tls.clone().filter(|_| is_tls),
                        shared,
                        slots: Arc::clone(&slots),
                        metrics,
                        stages,
                        alive,
                        workers: workers.clone(),
                    };
                    tokio::spawn(acceptor.run());
                }
                BoundSocket::Datagram(socket) => {
                    let datagrams = Datagrams {
                        socket,
                        shared,
                        metrics,
                        stages,
                        alive,
                    };
                    tokio::spawn(datagrams.run());
                }
            }
        }
        Listeners { stage, alive }
    }
}

fn bind(config: ListenerConfig, has_tls: bool) -> Result<Bound, ListenError> {
    let ListenerConfig { protocol, address } = config;
    if !protocol.has(address.transport) {
        return Err(ListenError::NotOverUdp { protocol, address });
    }
    if address.transport == Transport::Tls && !has_tls {
        return Err(ListenError::NoCertificate { protocol, address });
    }
    let socket = match address.transport {
        Transport::Tcp | Transport::Tls => listen(address.address).map(BoundSocket::Stream),
        Transport::Udp => datagram(address.address).map(BoundSocket::Datagram),
    };
    let socket = match socket {
        Ok(socket) => socket,
        Err(cause) => {
            return Err(ListenError::Bind {
                protocol,
                address,
                cause,
            });
        }
    };
    tracing::info!(protocol = protocol.name(), %address, "listening");
    Ok(Bound {
        config: ListenerConfig { protocol, address },
        socket,
    })
}

fn datagram(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // Less is no failure.
    if let Err(error) = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, DATAGRAM_BUFFER)
    {
        tracing::debug!(%error, "could not enlarge the buffer of a UDP socket");
    }
    UdpSocket::from_std(socket)
}

/// Listeners that receive.
#[derive(Debug)]
pub(crate) struct Listeners {
    stage: watch::Sender<Stage>,
    /// Ends with the last connection.
    alive: mpsc::Receiver<()>,
}

impl Listeners {
    /// Accepts nothing more, and delivers what has arrived, for as long as `limit`
    /// says.
    pub(crate) async fn close(&mut self, limit: Duration) {
        self.stage.send_replace(Stage::Stopping);
        let ended = async { while self.alive.recv().await.is_some() {} };
        if timeout(limit, ended).await.is_err() {
            tracing::warn!("what some clients of listeners have sent was not delivered in time");
        }
    }

    /// Ends what is still open.
    pub(crate) fn cut(self) {
        self.stage.send_replace(Stage::Cut);
    }
}
