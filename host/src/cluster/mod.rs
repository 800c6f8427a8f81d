//! This node's part in the cluster: its session, the election, its lease, and
//! its registration, all on a thread and runtime of their own so that nothing
//! in the path of messages can starve them.

mod active_key;
mod campaign;
mod control;
mod election;
mod epoch_file;
mod health;
mod membership;
mod question;

pub use control::{Control, ControlConfig, ControlError, Controls, Order, Role, View};
pub use epoch_file::{EpochFile, EpochFileError};
pub use health::Heartbeat;
pub use question::CLEAN;
