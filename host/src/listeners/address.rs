//! Where a listener is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;

/// How the bytes of a protocol travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
    /// TLS over TCP, from the first byte.
    Tls,
}

/// A transport and an address, such as `tcp://0.0.0.0:601`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

/// A text is no such address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected tcp://, udp:// or tls://, an IP address and a port, such as tcp://0.0.0.0:601")]
pub(crate) struct NoListenAddress;

impl FromStr for ListenAddress {
    type Err = NoListenAddress;

    /// Without a transport, it is TCP.
    fn from_str(text: &str) -> Result<Self, NoListenAddress> {
        let (transport, address) = match text.split_once("://") {
            None => (Transport::Tcp, text),
            Some(("tcp", address)) => (Transport::Tcp, address),
            Some(("udp", address)) => (Transport::Udp, address),
            Some(("tls", address)) => (Transport::Tls, address),
            Some(_) => return Err(NoListenAddress),
        };
        let address = address.parse().map_err(|_| NoListenAddress)?;
        Ok(Self { transport, address })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Tls => "tls",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_stands_before_the_address() {
        for text in ["tcp://0.0.0.0:514", "udp://[::]:514", "tls://127.0.0.1:0"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let bare: ListenAddress = "127.0.0.1:601".parse().unwrap();
        assert_eq!(bare.to_string(), "tcp://127.0.0.1:601");
        for wrong in [
            "",
            "514",
            "http://127.0.0.1:1",
            "tcp://localhost:1",
            "udp://",
        ] {
            assert_eq!(wrong.parse::<ListenAddress>(), Err(NoListenAddress));
        }
    }
}
