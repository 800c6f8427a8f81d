//! `sluice stream`: lists the streams of a cluster, and moves them between its nodes.

mod command;
mod list;

pub(super) use command::{EXAMPLES, StreamCommand, run};
