//! `sluice plugin`: chooses the sink of all nodes, and shows which one runs.

mod change;
mod command;
mod error;
mod history;
mod keygen;
mod new;
mod progress;
mod push;
mod rollback;
mod sign;
mod snapshot;
mod status;
mod upload;
mod use_sink;

pub(super) use command::{EXAMPLES, PluginCommand, run};
