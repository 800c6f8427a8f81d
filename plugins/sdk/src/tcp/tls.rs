//! TLS over `wasi:tls`: the host does it.

use std::time::Instant;

use wasip2::io::streams::{OutputStream, StreamError};
use wasip2::sockets::tcp::TcpSocket;

use super::Cause;
use super::tls_bindings::wasi::tls::types::{ClientConnection, ClientHandshake};
use super::wasi::{Ending, Socket, broken, end, failed, wait_for};

/// The end of a connection with TLS.
#[derive(Debug)]
struct TlsEnding {
    connection: ClientConnection,
    is_asked: bool,
}

/// Makes a connection with TLS of one without.
pub(super) fn start_tls(socket: Socket, name: &str, deadline: Instant) -> Result<Socket, Cause> {
    let Socket {
        input,
        output,
        socket,
        ..
    } = socket;
    let future = ClientHandshake::finish(ClientHandshake::new(name, input, output));
    loop {
        match future.get() {
            Some(Ok(Ok((connection, input, output)))) => {
                let ending = Box::new(TlsEnding {
                    connection,
                    is_asked: false,
                });
                return Ok(Socket {
                    input,
                    output,
                    ending,
                    socket,
                });
            }
            Some(Ok(Err(error))) => return Err(failed(&error)),
            Some(Err(())) => return Err(Cause::Failed("the handshake has no result".to_owned())),
            None if Instant::now() < deadline => wait_for([future.subscribe()], deadline),
            None => return Err(Cause::Timeout("the handshake of TLS")),
        }
    }
}

impl Ending for TlsEnding {
    /// First TLS, then the connection under it, for servers that wait for its end.
    fn try_end(&mut self, output: &OutputStream, socket: &TcpSocket) -> Result<bool, Cause> {
        if !self.is_asked {
            self.connection.close_output();
            self.is_asked = true;
        }
        match output.check_write() {
            Ok(_) => Ok(false),
            Err(StreamError::Closed) => end(socket),
            Err(error) => Err(broken(&error)),
        }
    }

    /// Many servers, such as rsyslog with GnuTLS, answer close_notify by closing the
    /// connection only. Before that, such an end is an error.
    fn is_end(&self, reason: &str) -> bool {
        self.is_asked && reason.contains("close_notify")
    }
}
