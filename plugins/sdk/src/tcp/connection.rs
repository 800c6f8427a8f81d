//! Sends and receives.

use std::time::Instant;

#[cfg(not(target_family = "wasm"))]
use super::native::{Socket, start_tls};
#[cfg(target_family = "wasm")]
use super::tls::start_tls;
#[cfg(target_family = "wasm")]
use super::wasi::Socket;
use super::{Address, Cause, Error};

/// How much may have arrived before it is read, in bytes. More stays with the other
/// end.
const MAX_ARRIVED: usize = 1 << 20;

/// An open connection. It is closed when it is dropped.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    address: Address,
    /// What has arrived and was not read yet.
    arrived: Vec<u8>,
    is_ended: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// As it says.
    pub fn open(address: &Address, deadline: Instant) -> Result<Self, Error> {
        let socket = Socket::connect(address, deadline);
        Ok(Self {
            socket: socket.map_err(|cause| Error::new(address, cause))?,
            address: address.clone(),
            arrived: Vec::new(),
            is_ended: false,
        })
    }

    /// Starts TLS, and checks that the certificate of the server is for this name, or
    /// address, and that the node trusts its issuer. What was received before it and
    /// not read is an error, because anyone may have sent it.
    ///
    /// # Errors
    /// The server is not trusted, its handshake took too long, and others.
    pub fn start_tls(mut self, server_name: &str, deadline: Instant) -> Result<Self, Error> {
        self.take_in()?;
        if self.is_ended {
            return Err(self.error(Cause::Closed));
        }
        if !self.arrived.is_empty() {
            let early = "the server sent something before the handshake of TLS";
            return Err(self.error(Cause::Failed(early.to_owned())));
        }
        let started = start_tls(self.socket, server_name, deadline);
        Ok(Self {
            socket: started.map_err(|cause| Error::new(&self.address, cause))?,
            address: self.address,
            arrived: self.arrived,
            is_ended: self.is_ended,
        })
    }

    /// Sends all of the bytes, and returns when the node's system has them. What arrives meanwhile is kept for
    /// [`read`](Self::read), so that both ends can send at the same time.
    ///
    /// # Errors
    /// Some may have been sent. Use another connection then.
    pub fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = self.socket.try_send(rest).map_err(|c| self.error(c))?;
            rest = rest.get(sent..).unwrap_or_default();
            self.take_in()?;
            if self.is_ended {
                return Err(self.error(Cause::Closed));
            }
            if sent == 0 {
                let may_read = self.arrived.len() < MAX_ARRIVED;
                self.wait(true, may_read, deadline, "sending")?;
            }
        }
        self.socket.flush().map_err(|cause| self.error(cause))?;
        while !self
            .socket
            .is_flushed()
            .map_err(|cause| self.error(cause))?
        {
            self.take_in()?;
            let may_read = self.arrived.len() < MAX_ARRIVED && !self.is_ended;
            self.wait(true, may_read, deadline, "sending")?;
        }
        Ok(())
    }

    /// Waits until something has arrived, and returns all of it.
    ///
    /// # Errors
    /// [`Cause::Closed`] when there is nothing more, and others.
    pub fn read(&mut self, deadline: Instant) -> Result<Vec<u8>, Error> {
        loop {
            self.take_in()?;
            if !self.arrived.is_empty() {
                return Ok(std::mem::take(&mut self.arrived));
            }
            if self.is_ended {
                return Err(self.error(Cause::Closed));
            }
            self.wait(false, true, deadline, "an answer")?;
        }
    }

    /// What has arrived by now, without waiting.
    ///
    /// # Errors
    /// [`Cause::Closed`] when there is nothing more, and others.
    pub fn read_now(&mut self) -> Result<Vec<u8>, Error> {
        self.take_in()?;
        if self.is_ended && self.arrived.is_empty() {
            return Err(self.error(Cause::Closed));
        }
        Ok(std::mem::take(&mut self.arrived))
    }

    /// Says that nothing more follows, and waits until the other end has closed the
    /// connection, too. It usually does so when it has read everything; if it breaks
    /// down before that, its system resets the connection, which is an error here.
    /// Returns what has arrived and was not read, the first 1 MiB of it.
    ///
    /// # Errors
    /// The other end closed the connection earlier, did not close it in time, or broke
    /// down.
    pub fn finish(mut self, deadline: Instant) -> Result<Vec<u8>, Error> {
        self.take_in()?;
        if self.is_ended {
            return Err(self.error(Cause::Closed));
        }
        while !self.socket.try_end().map_err(|c| self.error(c))? {
            self.wait(true, false, deadline, "sending")?;
        }
        let mut arrived = Vec::new();
        loop {
            let room = MAX_ARRIVED.saturating_sub(arrived.len());
            arrived.extend(self.arrived.drain(..).take(room));
            if self.is_ended {
                return Ok(arrived);
            }
            self.wait(false, true, deadline, "closing the connection")?;
            self.take_in()?;
        }
    }

    fn take_in(&mut self) -> Result<(), Error> {
        while !self.is_ended && self.arrived.len() < MAX_ARRIVED {
            let room = MAX_ARRIVED - self.arrived.len();
            let part = self.socket.try_read(room);
            match part.map_err(|cause| self.error(cause))? {
                None => self.is_ended = true,
                Some(part) if part.is_empty() => break,
                Some(part) => self.arrived.extend_from_slice(&part),
            }
        }
        Ok(())
    }

    fn wait(
        &self,
        to_send: bool,
        to_read: bool,
        deadline: Instant,
        what: &'static str,
    ) -> Result<(), Error> {
        if Instant::now() >= deadline {
            return Err(self.error(Cause::Timeout(what)));
        }
        self.socket.wait(to_send, to_read, deadline);
        Ok(())
    }

    fn error(&self, cause: Cause) -> Error {
        Error::new(&self.address, cause)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;
    use std::time::Duration;

    use super::*;

    /// A server that accepts one connection, and what it returns.
    fn serve<T: Send + 'static>(
        work: impl FnOnce(std::net::TcpStream) -> T + Send + 'static,
    ) -> (Address, JoinHandle<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let server = std::thread::spawn(move || work(listener.accept().unwrap().0));
        (address, server)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn both_ends_can_send_at_the_same_time() {
        const SIZE: usize = 600_000;
        let (address, server) = serve(|mut stream| {
            // What the other end sends does not fit into the buffers of the system, nor
            // does this.
            stream.write_all(&vec![7; SIZE]).unwrap();
            let mut got = vec![0; 20 * SIZE];
            stream.read_exact(&mut got).unwrap();
        });
        let mut connection = Connection::open(&address, soon()).unwrap();
        connection.send(&vec![1; 20 * SIZE], soon()).unwrap();
        let mut got = 0;
        while got < SIZE {
            got += connection.read(soon()).unwrap().len();
        }
        server.join().unwrap();
        assert_eq!(connection.read(soon()).unwrap_err().cause, Cause::Closed);
        assert_eq!(connection.read_now().unwrap_err().cause, Cause::Closed);
    }

    #[test]
    fn a_connection_is_finished_when_the_other_end_has_read_all() {
        let (address, server) = serve(|mut stream| {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            got.len()
        });
        let mut connection = Connection::open(&address, soon()).unwrap();
        connection.send(&[0; 500_000], soon()).unwrap();
        connection.finish(soon()).unwrap();
        assert_eq!(server.join().unwrap(), 500_000);
    }

    #[test]
    fn an_end_that_reads_nothing_is_an_error() {
        let (address, server) = serve(drop);
        let mut connection = Connection::open(&address, soon()).unwrap();
        let sent = connection.send(&[0; 500_000], soon());
        server.join().unwrap();
        assert!(sent.and_then(|()| connection.finish(soon())).is_err());
    }

    #[test]
    fn what_arrives_before_tls_is_an_error() {
        let (address, server) = serve(|mut stream| {
            stream.write_all(b"+OK").unwrap();
            stream
        });
        let mut connection = Connection::open(&address, soon()).unwrap();
        while connection.arrived.is_empty() {
            connection.take_in().unwrap();
        }
        let error = connection.start_tls("localhost", soon()).unwrap_err();
        let said = "the server sent something before the handshake of TLS";
        assert!(error.to_string().ends_with(said), "{error}");
        drop(server.join().unwrap());
    }

    #[test]
    fn every_wait_has_an_end() {
        let (go, waiting) = std::sync::mpsc::channel::<()>();
        let (address, server) = serve(move |stream| {
            waiting.recv().ok();
            drop(stream);
        });
        let mut connection = Connection::open(&address, soon()).unwrap();
        let now = Instant::now;
        let timeout = connection.read(now() + Duration::from_millis(20));
        assert_eq!(timeout.unwrap_err().cause, Cause::Timeout("an answer"));
        let many = vec![0; 50_000_000];
        let timeout = connection.send(&many, now() + Duration::from_millis(20));
        assert_eq!(timeout.unwrap_err().cause, Cause::Timeout("sending"));
        drop(go);
        server.join().unwrap();
        let nobody = Address::parse("127.0.0.1:1").unwrap();
        let refused = Connection::open(&nobody, soon()).unwrap_err();
        assert!(
            refused.to_string().starts_with("127.0.0.1:1: "),
            "{refused}"
        );
    }
}
