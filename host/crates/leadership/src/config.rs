//! The settings of a node's part in the cluster.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sluice_consul as consul;
use sluice_types::documents::LeaderValue;
use sluice_types::keys::StreamKeys;

/// The settings of the control thread.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// How to reach Consul.
    pub consul: consul::Config,
    /// The cluster's name.
    pub cluster: String,
    /// This node's name.
    pub node: String,
    /// The address that clients connect to, with the port that was bound.
    pub listen: SocketAddr,
    /// What to tell clients instead: the host, and the port if it differs.
    pub advertise: Option<(String, Option<u16>)>,
    /// Where to answer Consul's health check, if that was set.
    pub health_listen: Option<SocketAddr>,
    /// The stream's keys.
    pub keys: StreamKeys,
    /// The form of the lock's value.
    pub leader_value: LeaderValue,
    /// How long a proof of leadership is valid.
    pub lease: Duration,
    /// The directory of the files that keep the epoch and the sessions.
    pub data_dir: PathBuf,
}

impl ControlConfig {
    /// Where to answer Consul's health check. Unless it was set, nobody else can
    /// reach it if the agent is on this machine.
    pub(crate) fn health_address(&self) -> SocketAddr {
        let loopback = self.consul.loopback();
        let default = || SocketAddr::new(health_host(self.listen.ip(), loopback), 0);
        self.health_listen.unwrap_or_else(default)
    }
}

/// The address for health checks of a node that listens on `listen` and reaches
/// its agent at `loopback`, or elsewhere if that is `None`.
fn health_host(listen: IpAddr, loopback: Option<IpAddr>) -> IpAddr {
    loopback.filter(|_| !listen.is_loopback()).unwrap_or(listen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_agent_checks_on_loopback() {
        let host = |listen: &str, loopback: Option<&str>| {
            let loopback = loopback.map(|ip| ip.parse().unwrap());
            health_host(listen.parse().unwrap(), loopback).to_string()
        };
        assert_eq!(host("0.0.0.0", Some("127.0.0.1")), "127.0.0.1");
        assert_eq!(host("::", Some("::1")), "::1");
        assert_eq!(host("10.0.0.1", Some("127.0.0.1")), "127.0.0.1");
        assert_eq!(host("127.0.0.2", Some("127.0.0.1")), "127.0.0.2");
        assert_eq!(host("0.0.0.0", None), "0.0.0.0");
        assert_eq!(host("10.0.0.1", None), "10.0.0.1");
    }
}
