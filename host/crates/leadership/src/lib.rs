//! This node's part in the cluster: its session, the election, its lease, and
//! its registration, all on a thread and runtime of their own so that nothing
//! in the path of messages can starve them.

mod active_key;
mod campaign;
mod control;
mod election;
mod epoch_file;
mod former;
mod health;
mod loss;
mod membership;
mod peers;
mod question;
mod session_file;
#[cfg(test)]
mod simulation;

pub use control::{Control, ControlConfig, ControlError, Controls, Order, Role, StepDown, View};
pub use epoch_file::{EpochFile, EpochFileError};
pub use health::Heartbeat;
/// The client addresses of the cluster's registered nodes.
pub type NodeAddresses =
    tokio::sync::watch::Receiver<std::sync::Arc<std::collections::HashSet<String>>>;

pub use peers::{NodeState, Peers};
pub use question::CLEAN;
