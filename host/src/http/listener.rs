//! The sockets on which a server listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use sluice_types::listen::listen;
use tokio::net::TcpListener;

/// What the clients of an address speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1.1, with all routes.
    Http,
    /// HTTP/2, with all routes. A client of `Http` chooses it in the TLS handshake.
    Http2,
    /// gRPC, which is HTTP/2, with the method for OTLP.
    OtlpGrpc,
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Http2 => "http2",
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
