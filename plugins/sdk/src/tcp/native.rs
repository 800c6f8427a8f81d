//! Sockets of native builds.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{Address, Cause};

/// Without an event to wait for, a socket is looked at so often.
const PAUSE: Duration = Duration::from_millis(1);
const PART: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    pub(super) fn connect(address: &Address, deadline: Instant) -> Result<Self, Cause> {
        let connect = || {
            let mut last = ErrorKind::NotFound.into();
            for found in (address.host.as_str(), address.port).to_socket_addrs()? {
                let left = deadline.saturating_duration_since(Instant::now());
                match TcpStream::connect_timeout(&found, left.max(PAUSE)) {
                    Ok(stream) => {
                        stream.set_nonblocking(true)?;
                        return Ok(Self(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        connect().map_err(|error| failed(&error))
    }

    /// Returns how much was sent.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> Result<usize, Cause> {
        match self.0.write(bytes) {
            Ok(sent) => Ok(sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Nothing if nothing has arrived yet, and `None` at the end.
    pub(super) fn try_read(&mut self, most: usize) -> Result<Option<Vec<u8>>, Cause> {
        let mut part = vec![0; most.min(PART)];
        match self.0.read(&mut part) {
            Ok(0) => Ok(None),
            Ok(length) => {
                part.truncate(length);
                Ok(Some(part))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Some(Vec::new())),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Ends what is sent. Returns whether that is done.
    pub(super) fn try_end(&mut self) -> Result<bool, Cause> {
        let ended = self.0.shutdown(Shutdown::Write);
        ended.map(|()| true).map_err(|error| failed(&error))
    }

    /// Nothing: the system sends by itself.
    pub(super) fn flush(&mut self) -> Result<(), Cause> {
        Ok(())
    }

    /// Always.
    pub(super) fn is_flushed(&mut self) -> Result<bool, Cause> {
        Ok(true)
    }

    pub(super) fn wait(&self, _to_send: bool, _to_read: bool, _deadline: Instant) {
        std::thread::sleep(PAUSE);
    }
}

/// Refused: only a node has TLS.
pub(super) fn start_tls(socket: Socket, _name: &str, _deadline: Instant) -> Result<Socket, Cause> {
    drop(socket);
    Err(Cause::Failed("a native build has no TLS".to_owned()))
}

fn failed(error: &std::io::Error) -> Cause {
    Cause::Failed(error.to_string())
}
