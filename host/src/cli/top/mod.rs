//! `sluice top`: the cluster in a terminal.

mod ansi;
mod command;
mod draw;
mod error;
mod feed;
mod keys;
mod model;
mod palette;
mod rates;
mod screen;
#[cfg(test)]
mod tests;
mod tty;

pub(super) use command::{EXAMPLES, TopArgs, run};
