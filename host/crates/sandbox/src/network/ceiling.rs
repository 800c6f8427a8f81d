//! What a node lets its sinks reach at most.

use sluice_types::endpoint::Endpoint;
use sluice_types::origin::Origin;
use std::net::{IpAddr, SocketAddr};

use super::address::is_public;

/// The destinations that a node's flags allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkCeiling {
    /// For HTTP requests.
    pub http: Allowed<Origin>,
    /// For TCP connections.
    pub tcp: Allowed<Endpoint>,
}

/// The destinations of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed<T> {
    /// These, whatever addresses they have.
    pub named: Vec<T>,
    /// All others that have public addresses.
    pub public: bool,
}

impl<T> Default for Allowed<T> {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            public: false,
        }
    }
}

/// Which addresses of an allowed destination may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: the node's flags name the destination.
    Any,
    /// Those that anyone could have.
    Public,
}

impl<T: PartialEq> Allowed<T> {
    /// Whether the destination is allowed, if its addresses are.
    #[must_use]
    pub fn allows(&self, destination: &T) -> bool {
        self.reach(destination).is_some()
    }

    pub(super) fn reach(&self, destination: &T) -> Option<Reach> {
        if self.named.contains(destination) {
            return Some(Reach::Any);
        }
        self.public.then_some(Reach::Public)
    }
}

impl Reach {
    pub(super) fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Public => is_public(address),
        }
    }

    /// Leaves the addresses that may be connected to.
    pub(super) fn retain(self, addresses: &mut Vec<SocketAddr>) {
        addresses.retain(|address| self.includes(address.ip()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_destination_may_be_anywhere_and_others_are_public() {
        let named: Origin = "http://localhost:9200".parse().unwrap();
        let other: Origin = "http://localhost:9201".parse().unwrap();
        let mut allowed = Allowed::default();
        assert_eq!(allowed.reach(&named), None);
        allowed.public = true;
        assert_eq!(allowed.reach(&named), Some(Reach::Public));
        allowed.named.push(named.clone());
        assert_eq!(allowed.reach(&named), Some(Reach::Any));
        assert_eq!(allowed.reach(&other), Some(Reach::Public));
        let all: Vec<SocketAddr> = ["127.0.0.1:1", "1.1.1.1:1", "[fd00::1]:1"]
            .map(|address| address.parse().unwrap())
            .into();
        let mut left = all.clone();
        Reach::Public.retain(&mut left);
        assert_eq!(left, all[1..2]);
        left.clone_from(&all);
        Reach::Any.retain(&mut left);
        assert_eq!(left, all);
    }
}
