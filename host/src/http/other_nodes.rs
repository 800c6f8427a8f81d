//! Where the cluster's other nodes are. They relay what their clients send, and
//! each of them limits its own clients.

use std::net::IpAddr;

use tokio::sync::watch;

use sluice_leadership::{Controls, NodeAddresses};

/// Tells the other nodes from clients by their registered addresses.
#[derive(Clone, Debug)]
pub(crate) struct OtherNodes {
    /// Those of all nodes, this one among them.
    all: NodeAddresses,
    /// This node's own, once it is known.
    own: watch::Receiver<Option<String>>,
}

impl OtherNodes {
    pub(crate) fn of(controls: &Controls) -> Self {
        Self {
            all: controls.addresses.clone(),
            own: controls.address.clone(),
        }
    }

    /// Whether another node is registered at this address. Nobody on this node's
    /// own machine counts as one. Registered host names are not looked up.
    pub(super) fn are_at(&self, ip: IpAddr) -> bool {
        let own = self.own.borrow().as_deref().map(ip_of);
        let is_elsewhere = !ip.is_loopback() && own.is_some_and(|own| own != Some(ip));
        is_elsewhere && self.all.borrow().iter().any(|node| ip_of(node) == Some(ip))
    }
}

/// The IP address in `host:port`, if the host is one.
fn ip_of(address: &str) -> Option<IpAddr> {
    let (host, _) = address.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(host).parse().ok()?;
    Some(ip.to_canonical())
}

#[cfg(test)]
impl OtherNodes {
    /// Those of a node at `own`.
    pub(super) fn fake(own: Option<&str>, all: &[&str]) -> Self {
        let all = all.iter().map(|node| (*node).to_owned()).collect();
        Self {
            all: watch::channel(std::sync::Arc::new(all)).1,
            own: watch::channel(own.map(str::to_owned)).1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &[
        "10.0.0.1:3000",
        "10.0.0.2:3000",
        "[2001:db8::2]:3000",
        "127.0.0.1:3001",
        "node.example.com:3000",
    ];

    #[test]
    fn a_node_is_told_by_its_registered_address() {
        let are_at = |own, ip: &str| OtherNodes::fake(own, ALL).are_at(ip.parse().unwrap());
        let own = Some("10.0.0.1:3000");
        assert!(are_at(own, "10.0.0.2"));
        assert!(are_at(own, "2001:db8::2"));
        for client in ["10.0.0.1", "10.0.0.3", "2001:db8::3", "127.0.0.1"] {
            assert!(!are_at(own, client), "{client}");
        }
        assert!(are_at(Some("node.example.com:3000"), "10.0.0.1"));
        assert!(!are_at(None, "10.0.0.2"), "this node may be there itself");
    }
}
