//! `sluice dlq`: lists, replays and removes the dead letters of all nodes.

mod command;
mod error;
mod filter;
mod letter_source;
mod remote;
mod replay;
mod rows;

pub(super) use command::{DlqCommand, EXAMPLES, run};
