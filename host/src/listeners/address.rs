//! Where a listener is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use sluice_types::stream::{BadStreamName, DEFAULT_STREAM, check_name};

/// How the bytes of a protocol travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
    /// TLS over TCP, from the first byte.
    Tls,
}

/// What stands between the address and the stream's name.
const STREAM: &str = "?stream=";

/// A transport and an address, such as `tcp://0.0.0.0:601`, and the stream that records
/// are for: `?stream=` and its name, or nothing for the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) stream: Arc<str>,
}

/// A text is no such address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum NoListenAddress {
    #[error(
        "expected tcp://, udp:// or tls://, an IP address and a port, such as \
         tcp://0.0.0.0:601, and perhaps {STREAM} and the name of a stream"
    )]
    Shape,
    #[error(transparent)]
    Stream(#[from] BadStreamName),
}

impl FromStr for ListenAddress {
    type Err = NoListenAddress;

    /// Without a transport, it is TCP.
    fn from_str(text: &str) -> Result<Self, NoListenAddress> {
        let (text, stream) = text.split_once(STREAM).unwrap_or((text, DEFAULT_STREAM));
        check_name(stream)?;
        let (transport, address) = match text.split_once("://") {
            None => (Transport::Tcp, text),
            Some(("tcp", address)) => (Transport::Tcp, address),
            Some(("udp", address)) => (Transport::Udp, address),
            Some(("tls", address)) => (Transport::Tls, address),
            Some(_) => return Err(NoListenAddress::Shape),
        };
        Ok(Self {
            transport,
            address: address.parse().map_err(|_| NoListenAddress::Shape)?,
            stream: stream.into(),
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Tls => "tls",
        };
        write!(f, "{scheme}://{}", self.address)?;
        match &*self.stream {
            DEFAULT_STREAM => Ok(()),
            named => write!(f, "{STREAM}{named}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_stands_before_the_address() {
        for text in [
            "tcp://0.0.0.0:514",
            "udp://[::]:514?stream=audit",
            "tls://127.0.0.1:0",
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let bare: ListenAddress = "127.0.0.1:601".parse().unwrap();
        assert_eq!(bare.to_string(), "tcp://127.0.0.1:601");
        assert_eq!(&*bare.stream, DEFAULT_STREAM);
        for wrong in [
            "",
            "514",
            "http://127.0.0.1:1",
            "tcp://localhost:1",
            "udp://",
            "tcp://127.0.0.1:1?x=1",
            "tcp://127.0.0.1:1?",
        ] {
            let wrong = wrong.parse::<ListenAddress>();
            assert_eq!(wrong, Err(NoListenAddress::Shape));
        }
        for wrong in [
            "127.0.0.1:1?stream=",
            "127.0.0.1:1?stream=Audit",
            "?stream=a&b=c",
        ] {
            let wrong = wrong.parse::<ListenAddress>();
            assert_eq!(wrong, Err(NoListenAddress::Stream(BadStreamName)));
        }
    }
}
