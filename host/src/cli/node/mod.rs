//! `sluice node`.

mod args;
mod config;
mod error;
mod repeats;
mod run;
mod settings;
mod values;

pub(super) use args::{EXAMPLES, NodeArgs};
pub(super) use run::run;
pub(super) use settings::settings;
