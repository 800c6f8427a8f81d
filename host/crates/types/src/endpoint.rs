//! Endpoints: where a TCP connection goes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::host::{Host, HostError, port as port_of};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: Host,
    port: u16,
}

/// Why a text is not an endpoint.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The port is missing, or none.
    #[error("it is not a host and a port, as in syslog.example.com:601")]
    Port,
    /// The host is not one.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Endpoint {
    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError::Port)?;
        let port = port_of(port).ok_or(EndpointError::Port)?;
        let host = host.parse()?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_an_endpoint() {
        for (text, shown) in [
            ("Syslog.example.com.:601", "syslog.example.com:601"),
            ("10.0.0.1:0601", "10.0.0.1:601"),
            ("[2001:DB8::1]:601", "[2001:db8::1]:601"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), shown);
        }
        for text in [
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:+1",
            "a:65536",
            "a:b",
            "2001:db8::1:601",
            "http://a:80",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
