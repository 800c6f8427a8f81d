//! The settings of a node's part in the cluster.

use std::net::SocketAddr;
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
    /// Where to answer Consul's health check.
    pub health_listen: SocketAddr,
    /// The stream's keys.
    pub keys: StreamKeys,
    /// The form of the lock's value.
    pub leader_value: LeaderValue,
    /// How long a proof of leadership is valid.
    pub lease: Duration,
    /// The directory of the files that keep the epoch and the sessions.
    pub data_dir: PathBuf,
}
