//! Sockets over `wasi:sockets`.

use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Instant;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::error::Error;
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    Network,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use super::{Address, Cause};

/// The streams are dropped before the socket that they belong to.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) input: InputStream,
    pub(super) output: OutputStream,
    pub(super) ending: Box<dyn Ending>,
    pub(super) socket: TcpSocket,
}

/// How a connection ends. It is dynamic, so that only components that start TLS
/// contain it and import `wasi:tls`.
pub(super) trait Ending: Debug {
    /// Ends what is sent. Returns whether that is done.
    fn try_end(&mut self, output: &OutputStream, socket: &TcpSocket) -> Result<bool, Cause>;

    /// Whether an error of a read is how the other end closes the connection.
    fn is_end(&self, _reason: &str) -> bool {
        false
    }
}

/// The end of a connection without TLS.
#[derive(Debug)]
struct PlainEnding {
    /// Whether the host was asked to send all that it has.
    is_flushed: bool,
}

impl Socket {
    /// Connects to the first address of the host that answers.
    pub(super) fn connect(address: &Address, deadline: Instant) -> Result<Self, Cause> {
        let network = instance_network();
        let mut last = Cause::Failed("the host has no address".to_owned());
        for ip in look_up(&network, &address.host, deadline)? {
            match connect_to(&network, &ip, address.port, deadline) {
                Ok(socket) => return Ok(socket),
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }

    /// Returns how much was sent.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> Result<usize, Cause> {
        let permit = self.output.check_write().map_err(|e| broken(&e))?;
        let permit = usize::try_from(permit).unwrap_or(usize::MAX);
        let (now, _) = bytes.split_at(permit.min(bytes.len()));
        if !now.is_empty() {
            self.output.write(now).map_err(|error| broken(&error))?;
        }
        Ok(now.len())
    }

    /// Nothing if nothing has arrived yet, and `None` at the end.
    pub(super) fn try_read(&mut self, most: usize) -> Result<Option<Vec<u8>>, Cause> {
        match self.input.read(most as u64) {
            Ok(part) => Ok(Some(part)),
            Err(StreamError::Closed) => Ok(None),
            Err(error) => match broken(&error) {
                Cause::Failed(reason) if self.ending.is_end(&reason) => Ok(None),
                cause => Err(cause),
            },
        }
    }

    /// Ends what is sent. Returns whether that is done.
    pub(super) fn try_end(&mut self) -> Result<bool, Cause> {
        self.ending.try_end(&self.output, &self.socket)
    }

    /// Starts to send what the host still has. Without TLS it does so anyway.
    pub(super) fn flush(&mut self) -> Result<(), Cause> {
        self.output.flush().map_err(|error| broken(&error))
    }

    /// Whether the host has sent everything.
    pub(super) fn is_flushed(&mut self) -> Result<bool, Cause> {
        let room = self.output.check_write();
        room.map(|room| room > 0).map_err(|error| broken(&error))
    }

    /// Waits until something can be sent or read, or until the deadline.
    pub(super) fn wait(&self, to_send: bool, to_read: bool, deadline: Instant) {
        let output = to_send.then(|| self.output.subscribe());
        let input = to_read.then(|| self.input.subscribe());
        wait_for(output.into_iter().chain(input), deadline);
    }
}

impl Ending for PlainEnding {
    fn try_end(&mut self, output: &OutputStream, socket: &TcpSocket) -> Result<bool, Cause> {
        if !self.is_flushed {
            output.flush().map_err(|error| broken(&error))?;
            self.is_flushed = true;
        }
        if output.check_write().map_err(|e| broken(&e))? == 0 {
            return Ok(false);
        }
        end(socket)
    }
}

/// Tells the other end that nothing more follows.
pub(super) fn end(socket: &TcpSocket) -> Result<bool, Cause> {
    let ended = socket.shutdown(ShutdownType::Send);
    ended.map(|()| true).map_err(refused)
}

pub(super) fn wait_for(events: impl IntoIterator<Item = Pollable>, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let nanoseconds = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
    let timer = subscribe_duration(nanoseconds);
    let pollables: Vec<Pollable> = events.into_iter().chain([timer]).collect();
    let all: Vec<&Pollable> = pollables.iter().collect();
    poll(&all);
}

/// Asks until there is an answer.
fn until<T>(
    mut ask: impl FnMut() -> Result<T, ErrorCode>,
    event: impl Fn() -> Pollable,
    deadline: Instant,
    what: &'static str,
) -> Result<T, Cause> {
    loop {
        match ask() {
            Err(ErrorCode::WouldBlock) if Instant::now() < deadline => {
                wait_for([event()], deadline);
            }
            Err(ErrorCode::WouldBlock) => return Err(Cause::Timeout(what)),
            answer => return answer.map_err(refused),
        }
    }
}

fn look_up(network: &Network, host: &str, deadline: Instant) -> Result<Vec<IpAddress>, Cause> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![of_ip(ip)]);
    }
    let found = resolve_addresses(network, host).map_err(refused)?;
    let next = || {
        until(
            || found.resolve_next_address(),
            || found.subscribe(),
            deadline,
            "looking up its name",
        )
    };
    let mut all = Vec::new();
    while let Some(ip) = next()? {
        all.push(ip);
    }
    Ok(all)
}

fn connect_to(
    network: &Network,
    ip: &IpAddress,
    port: u16,
    deadline: Instant,
) -> Result<Socket, Cause> {
    let (family, remote) = match *ip {
        IpAddress::Ipv4(address) => {
            let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address });
            (IpAddressFamily::Ipv4, remote)
        }
        IpAddress::Ipv6(address) => {
            let remote = IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port,
                flow_info: 0,
                address,
                scope_id: 0,
            });
            (IpAddressFamily::Ipv6, remote)
        }
    };
    let socket = create_tcp_socket(family).map_err(refused)?;
    socket.start_connect(network, remote).map_err(refused)?;
    let connected = until(
        || socket.finish_connect(),
        || socket.subscribe(),
        deadline,
        "connecting",
    );
    let (input, output) = connected?;
    Ok(Socket {
        input,
        output,
        ending: Box::new(PlainEnding { is_flushed: false }),
        socket,
    })
}

fn of_ip(ip: IpAddr) -> IpAddress {
    match ip {
        IpAddr::V4(ip) => IpAddress::Ipv4(ip.octets().into()),
        IpAddr::V6(ip) => IpAddress::Ipv6(ip.segments().into()),
    }
}

fn refused(code: ErrorCode) -> Cause {
    match code {
        ErrorCode::AccessDenied => Cause::Denied,
        ErrorCode::ConnectionRefused => Cause::Failed("connection refused".to_owned()),
        ErrorCode::NameUnresolvable => {
            Cause::Failed("the name of the host was not found".to_owned())
        }
        code => Cause::Failed(code.name().to_owned()),
    }
}

pub(super) fn broken(error: &StreamError) -> Cause {
    match error {
        StreamError::Closed => Cause::Closed,
        StreamError::LastOperationFailed(error) => failed(error),
    }
}

/// What the host says, without where in its code: it says that, too, if it runs with
/// `RUST_BACKTRACE`.
pub(super) fn failed(error: &Error) -> Cause {
    let said = error.to_debug_string();
    let reason = said.split("Stack backtrace:").next().unwrap_or_default();
    Cause::Failed(reason.trim_end().to_owned())
}
