//! `sluice plugin`: chooses the sink of all nodes, and shows which one runs.

mod command;
mod error;
mod progress;
mod snapshot;
mod status;
mod use_sink;

pub(super) use command::{EXAMPLES, PluginCommand, run};
