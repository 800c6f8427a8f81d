//! `sluice step-down`.

mod args;
mod by_consul;
mod by_people;
mod command;
mod error;
mod report;

pub(super) use args::{EXAMPLES, StepDownArgs};
pub(super) use command::run;
