//! Where connections go.

use std::fmt::{self, Display};

use serde::Deserialize;

/// A host and a port, such as `syslog.example.com:601` or `[::1]:601`.
///
/// As a field of a config it is parsed from a string.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Parses a host and a port.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected a host and a port such as syslog.example.com:601".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_wrong = |c: char| c.is_whitespace() || c.is_control() || "/@[]:".contains(c);
        let is_right = match literal {
            Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains(is_wrong),
        };
        let port: u16 = port.parse().map_err(|_| expected())?;
        match is_right && port > 0 {
            true => Ok(Self {
                host: literal.unwrap_or(host).to_owned(),
                port,
            }),
            false => Err(expected()),
        }
    }
}

impl Address {
    /// The name of the host, or its address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for right in [
            "a:1",
            "syslog.example.com:601",
            "127.0.0.1:65535",
            "[::1]:4222",
        ] {
            assert_eq!(Address::parse(right).unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "a",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "::1:1",
            "a b:1",
            "tcp://a:1",
            "[a]:1",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
