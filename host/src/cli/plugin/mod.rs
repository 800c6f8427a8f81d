//! `sluice plugin`: chooses the sink of all nodes, and shows which one runs.

mod change;
mod check;
mod check_report;
mod command;
mod component;
mod desk;
mod error;
mod history;
mod keygen;
mod new;
mod progress;
mod push;
mod records;
mod rollback;
mod run;
mod sign;
mod snapshot;
mod status;
mod upload;
mod use_sink;
mod wanted;

pub(super) use command::{EXAMPLES, PluginCommand, dispatch};
