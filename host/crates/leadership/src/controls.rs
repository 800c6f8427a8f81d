//! What the control thread publishes.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::assistant::AssistanceRequest;
use super::heartbeat::Heartbeat;
use super::late_renewals::LateRenewals;
use super::peers::Peers;
use super::role::Role;
use super::runs::Runs;
use super::view::View;

/// What the control thread publishes to a stream: its own role and peers, and what is
/// the same for all streams of the node.
#[derive(Clone, Debug)]
pub struct Controls {
    /// Whether this node leads, and who does.
    pub role: watch::Receiver<Role>,
    /// The session and the epoch.
    pub view: watch::Receiver<View>,
    /// The client addresses of all registered nodes.
    pub addresses: watch::Receiver<Arc<HashSet<String>>>,
    /// The other nodes that are alive, with what they report about the stream.
    pub peers: Peers,
    /// Where clients reach this node, once it is known.
    pub address: watch::Receiver<Option<String>>,
    /// Takes what other nodes ask for that do not reach Consul.
    pub assistant: mpsc::Sender<AssistanceRequest>,
    /// Whether the control loop runs.
    pub heartbeat: Arc<Heartbeat>,
    /// How often proofs of leadership came late.
    pub late_renewals: Arc<LateRenewals>,
    /// What nodes have written for streams other than the default one; `None` until
    /// Consul has answered, which it is asked once there is such a stream.
    pub runs: watch::Receiver<Option<Arc<Runs>>>,
}
