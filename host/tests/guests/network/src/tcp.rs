//! Sockets and names.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

/// The most of an answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// Connects to a host and a port, says hello, and returns the answer.
pub(crate) fn exchange(target: &str) -> Result<String, String> {
    let exchange = || {
        let mut stream = TcpStream::connect(target)?;
        stream.write_all(b"hello\n")?;
        let mut answer = vec![0; MAX_ANSWER];
        let read = stream.read(&mut answer)?;
        answer.truncate(read);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    exchange().map_err(|error: std::io::Error| error.to_string())
}

/// The addresses of a host, with a port.
pub(crate) fn look_up(target: &str) -> Result<String, String> {
    let found = (target, 0).to_socket_addrs();
    let found = found.map_err(|error| error.to_string())?;
    let found: Vec<_> = found.map(|address| address.ip().to_string()).collect();
    Ok(found.join(" "))
}

/// Sends a datagram.
pub(crate) fn udp() -> Result<String, String> {
    let send = || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.send_to(b"hello", "127.0.0.1:53")?;
        Ok("sent".to_owned())
    };
    send().map_err(|error: std::io::Error| error.to_string())
}

/// Listens.
pub(crate) fn listen(address: &str) -> Result<String, String> {
    let listener = TcpListener::bind(address);
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.to_string())
        .map_err(|error| error.to_string())
}
