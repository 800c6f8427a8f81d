//! The sockets on which a server listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// The most connections that wait to be accepted. Beyond that the system drops
/// the handshake, and a client tries again only after a second. Linux takes
/// `net.core.somaxconn` if that is less (its default since 5.4: 4096).
const ACCEPT_BACKLOG: u32 = 4096;

/// What the clients of an address speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1.1, with all routes.
    Http,
    /// gRPC, which is HTTP/2, with the method for OTLP.
    OtlpGrpc,
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::OtlpGrpc => "otlp-grpc",
        })
    }
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) speech: Speech,
    /// With the port that was bound.
    pub(super) address: SocketAddr,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// The system does not give it to this process.
    pub(super) fn bind(address: SocketAddr, speech: Speech) -> io::Result<Self> {
        let socket = listen(address)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            speech,
            address,
        })
    }
}

/// Listens on an address.
///
/// # Errors
/// The system does not give it to this process.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As std does it: a restart need not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}
