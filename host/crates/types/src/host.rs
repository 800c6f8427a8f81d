//! Hosts: names and addresses, in one form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// The longest name, RFC 1035, section 2.3.4, without the last dot.
pub const MAX_NAME: usize = 253;
/// The longest label of a name, there.
const MAX_LABEL: usize = 63;

/// A name in lower case without a dot at its end, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name, to be looked up.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// A text is neither a name nor an address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is neither a host name (letters, digits, '-', '_' and dots; other letters as punycode) nor \
     an IP address (IPv6 in brackets)"
)]
pub struct HostError(String);

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let refused = || HostError(text.chars().take(MAX_NAME).collect());
        if let Some(address) = text.strip_prefix('[') {
            let address = address.strip_suffix(']').ok_or_else(refused)?;
            let address: Ipv6Addr = address.parse().map_err(|_| refused())?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_NAME || !name.split('.').all(is_label) || is_like_an_address(name) {
            return Err(refused());
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

/// A port in decimal digits, not 0. `parse` alone would also take a sign.
pub(crate) fn port(text: &str) -> Option<u16> {
    let is_number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_allowed)
}

/// Whether some resolvers take it for an address, such as `127.1` or
/// `0x7f000001`: its last label is a number.
fn is_like_an_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let digits = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_resolvers_read_as_an_address_is_no_name() {
        for text in [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "a.0x",
            "1.2.3.4.5",
            "017.0.0.1.",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
        for name in [
            "localhost",
            "a_b.example",
            "1.example",
            "0x7f.example",
            "xn--tst-qla.example",
        ] {
            assert_eq!(name.parse(), Ok(Host::Name(name.to_owned())));
        }
    }

    #[test]
    fn names_have_the_lengths_of_the_domain_name_system() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert!(longest.parse::<Host>().is_ok());
        assert!(format!("{longest}a").parse::<Host>().is_err());
        assert!(format!("{label}a").parse::<Host>().is_err());
        for text in ["", ".", "a..b", ".a", "a b", "a/b", "[::1", "[a]", "::1"] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }
}
