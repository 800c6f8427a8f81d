//! `sluice tail`: records as they pass.

mod command;
mod error;
mod printer;
mod source;
mod text;

pub(super) use command::{EXAMPLES, TailArgs, run};
