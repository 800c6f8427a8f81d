//! This node's part in the cluster: its session, the election, its lease, and
//! its registration, all on a thread and runtime of their own so that nothing
//! in the path of messages can starve them.

mod active_key;
mod assistance;
mod assistant;
mod calls;
mod clock;
mod command;
mod config;
mod consul_lock;
mod control;
mod control_thread;
mod controls;
mod coordination;
mod driver;
mod early_orders;
mod election;
mod elections;
mod elector;
mod entrance;
mod epoch_file;
mod epoch_reads;
mod event;
mod health;
mod health_places;
mod health_secret;
mod health_server;
mod heartbeat;
mod history;
mod intervals;
mod joining;
mod late_renewals;
#[cfg(test)]
mod local_coordinator;
mod lock;
mod lock_client;
mod loss;
mod node_disk;
mod nodes;
mod noted;
mod order;
mod own_address;
mod part;
mod peers;
mod presence;
mod presence_client;
mod publication;
mod publisher;
mod reported;
mod role;
mod runs;
mod service;
mod session_file;
mod session_kind;
mod sessions;
mod settings;
#[cfg(test)]
mod simulation;
mod stream_name;
mod take;
mod tenure;
mod view;
mod watching;

pub use assistance::{Act, Assistance, Plea};
pub use assistant::AssistanceRequest;
pub use config::ControlConfig;
pub use control::{Control, ControlError};
pub use controls::Controls;
pub use elector::Elector;
pub use epoch_file::EpochFileError;
pub use heartbeat::Heartbeat;
pub use joining::Joining;
pub use late_renewals::LateRenewals;
pub use lock::CLEAN;
pub use order::{Order, StepDown, StreamOrder};
pub use peers::Peers;
pub use role::Role;
pub use runs::Runs;
pub use settings::LEAST_LEAP;
pub use view::View;

/// The client addresses of the cluster's registered nodes.
pub type NodeAddresses =
    tokio::sync::watch::Receiver<std::sync::Arc<std::collections::HashSet<String>>>;
