//! `sluice tail`: records as they pass.

mod command;
mod error;
mod printer;
mod source;
mod text;

pub(super) use command::{EXAMPLES, TailArgs, run};
pub(super) use source::Source;
pub(super) use text::{outcome_name, severity_name};
