//! The sockets on which a server listens.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// The most connections that wait to be accepted. Beyond that the system drops
/// the handshake, and a client tries again only after a second. Linux takes
/// `net.core.somaxconn` if that is less (its default since 5.4: 4096).
const ACCEPT_BACKLOG: u32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// With the port that was bound.
    pub(super) address: SocketAddr,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// The system does not give it to this process.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // As std does it: a restart need not wait for old connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(ACCEPT_BACKLOG)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }
}
