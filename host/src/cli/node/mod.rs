//! `sluice node`.

mod args;
mod config;
mod error;
mod run;
mod values;

pub(super) use args::{EXAMPLES, NodeArgs};
pub(super) use run::run;
