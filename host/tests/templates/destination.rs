//! A server that takes one request.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Destination {
    address: SocketAddr,
    taken: JoinHandle<String>,
}

impl Destination {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let taken = std::thread::spawn(move || take(&listener));
        Self { address, taken }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Everything of the request, as it came. Called when the request is over.
    pub(crate) fn received(self) -> String {
        if !self.taken.is_finished() {
            // Nothing came. This lets the thread end.
            drop(std::net::TcpStream::connect(self.address));
        }
        self.taken.join().unwrap()
    }
}

fn take(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    // Each line ends its object, and there is one line, however it is framed.
    while !request.windows(2).any(|end| end == b"}\n") {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(length) => request.extend_from_slice(&part[..length]),
        }
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    drop(stream.write_all(answer));
    // A connection that is closed with something unread is reset.
    while matches!(stream.read(&mut part), Ok(1..)) {}
    String::from_utf8_lossy(&request).into_owned()
}
