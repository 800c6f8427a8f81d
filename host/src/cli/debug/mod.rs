//! `sluice debug`: what a bug report needs.

mod archive;
mod bundle;
mod collect;
mod command;
mod contents;
mod error;
mod source;

pub(super) use command::{DebugCommand, EXAMPLES, run};
