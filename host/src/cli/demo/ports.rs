//! Checks the ports that the demo needs before anything starts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use thiserror::Error;

use super::args::DemoArgs;
use super::guide;

/// How many alternatives are tried for ports that are in use.
const ALTERNATIVES: u16 = 50;

#[derive(Debug, Error)]
pub(super) enum PortsError {
    #[error("start the demo: {taken}{alternative}")]
    InUse { taken: String, alternative: String },
    #[error("use the port {address} for the demo")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error(
        "find ports for {nodes} nodes from {port} on: the last port is {}; choose another --port",
        u16::MAX
    )]
    Beyond { nodes: u16, port: u16 },
}

/// The addresses of the nodes; `None` if they do not fit below the last port.
pub(super) fn nodes(first: u16, count: u16) -> Option<Vec<SocketAddr>> {
    let last = first.checked_add(count.checked_sub(1)?)?;
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Some((first..=last).map(address).collect())
}

/// Fails if a port is in use, and suggests a command that works.
pub(super) fn check(args: &DemoArgs) -> Result<(), PortsError> {
    let wanted = nodes(args.port, args.nodes).ok_or(PortsError::Beyond {
        nodes: args.nodes,
        port: args.port,
    })?;
    let mut held = Vec::new();
    // Each port stays bound until all are checked: the port of a node may also
    // be the coordinator's.
    let mut is_taken = |address: SocketAddr| match TcpListener::bind(address) {
        Ok(listener) => {
            held.push(listener);
            Ok(false)
        }
        Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => Ok(true),
        Err(cause) => Err(PortsError::Listen { address, cause }),
    };
    let coordinator = is_taken(args.coordinator)?;
    let mut taken = Vec::new();
    for address in &wanted {
        if is_taken(*address)? {
            taken.push(address.port());
        }
    }
    drop(held);
    if !coordinator && taken.is_empty() {
        return Ok(());
    }
    Err(PortsError::InUse {
        taken: in_words(coordinator.then_some(args.coordinator.port()), &taken),
        alternative: alternative(args, coordinator, !taken.is_empty()).map_or_else(
            || "; choose other ports with --coordinator and --port".to_owned(),
            |other| format!(". On other ports: {}", guide::command(&other)),
        ),
    })
}

fn in_words(coordinator: Option<u16>, nodes: &[u16]) -> String {
    let coordinator = coordinator.map(|port| {
        format!("port {port} of the coordinator is in use, perhaps by a Consul or another demo")
    });
    let list: Vec<_> = nodes.iter().map(u16::to_string).collect();
    let list = list.join(", ");
    let nodes = match nodes.len() {
        0 => None,
        1 => Some(format!(
            "port {list} of a node is in use, perhaps by another node"
        )),
        _ => Some(format!(
            "ports {list} of the nodes are in use, perhaps by other nodes"
        )),
    };
    let parts: Vec<_> = coordinator.into_iter().chain(nodes).collect();
    parts.join("; ")
}

/// The same demo on ports that are free now.
fn alternative(args: &DemoArgs, coordinator: bool, nodes_too: bool) -> Option<DemoArgs> {
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    let mut other = args.clone();
    if nodes_too {
        other.port = (1..ALTERNATIVES).find_map(|step| {
            let port = args.port.checked_add(step.checked_mul(10)?)?;
            let addresses = nodes(port, args.nodes)?;
            let is_good = |address: &SocketAddr| {
                address.port() != args.coordinator.port() && is_free(address)
            };
            addresses.iter().all(is_good).then_some(port)
        })?;
    }
    if coordinator {
        let nodes = nodes(other.port, other.nodes)?;
        let port = (1..ALTERNATIVES).find_map(|step| {
            let port = args.coordinator.port().checked_add(step)?;
            let address = SocketAddr::new(args.coordinator.ip(), port);
            let is_nodes = nodes.iter().any(|node| node.port() == port);
            (!is_nodes && is_free(&address)).then_some(port)
        })?;
        other.coordinator.set_port(port);
    }
    Some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_beyond_the_last() {
        assert_eq!(nodes(65_534, 3), None);
        assert_eq!(nodes(65_534, 2).unwrap().len(), 2);
    }

    #[test]
    fn ports_in_use_are_named() {
        assert_eq!(
            in_words(None, &[3000]),
            "port 3000 of a node is in use, perhaps by another node"
        );
        assert!(in_words(Some(8500), &[3000, 3001]).contains("; ports 3000, 3001 of the nodes"));
    }
}
