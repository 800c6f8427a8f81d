//! Sockets on which a server listens.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// The most connections that wait to be accepted. Beyond that the system drops
/// the handshake, and a client tries again only after a second; in a flood, the
/// health checks of the agent wait among the others. Linux takes
/// `net.core.somaxconn` if that is less (its default since 5.4: 4096).
const ACCEPT_BACKLOG: u32 = 4096;

/// Listens on an address. Needs the runtime that will use the listener.
///
/// # Errors
/// The system does not give it to this process.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As std does it: a restart need not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}
