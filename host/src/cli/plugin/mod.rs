//! `sluice plugin`: chooses the sink of all nodes, and shows which one runs.

mod command;
mod error;
mod keygen;
mod progress;
mod push;
mod sign;
mod snapshot;
mod status;
mod upload;
mod use_sink;

pub(super) use command::{EXAMPLES, PluginCommand, run};
