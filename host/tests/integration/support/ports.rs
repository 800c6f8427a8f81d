//! Ports for servers that cannot be started on port 0.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Below the range of ephemeral ports.
const RANGE: std::ops::Range<u16> = 10_000..30_000;

/// How many times to start a server that does not come up, because another
/// program may take its port first.
pub(crate) const TRIES: usize = 5;

/// A port that no other test uses, even while no server listens on it. Programs
/// that are not tests may still take it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _claim: UnixListener,
}

impl Port {
    pub(crate) fn claim() -> Self {
        let [port] = Self::claim_row();
        port
    }

    /// Claims ports with consecutive numbers.
    pub(crate) fn claim_row<const LENGTH: usize>() -> [Self; LENGTH] {
        loop {
            let first = rand::random_range(RANGE);
            let row: Vec<_> = (first..).take(LENGTH).map_while(Self::try_claim).collect();
            if let Ok(row) = row.try_into() {
                return row;
            }
        }
    }

    /// The claim is a Unix socket with an abstract name. The kernel removes it
    /// when the process ends for any reason.
    fn try_claim(number: u16) -> Option<Self> {
        let name = format!("sluice-test-port-{number}");
        let name = SocketAddr::from_abstract_name(name).expect("a short name");
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self {
            number,
            _claim: claim,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_claimed_once_and_can_be_used() {
        let port = Port::claim();
        assert!(Port::try_claim(port.number).is_none());
        let listener = TcpListener::bind(("127.0.0.1", port.number)).unwrap();
        let number = port.number;
        drop(port);
        assert!(Port::try_claim(number).is_none(), "it is in use");
        drop(listener);
    }

    #[test]
    fn a_row_has_no_gaps() {
        let row = Port::claim_row::<4>();
        let numbers = row.each_ref().map(|port| port.number);
        let first = numbers[0];
        assert_eq!(numbers, [first, first + 1, first + 2, first + 3]);
    }
}
