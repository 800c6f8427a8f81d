//! `sluice demo`: a whole cluster on one machine.
//!
//! The coordinator and the producer run in this process, the nodes are child
//! processes. All of them print through [`screen`] and report what happened as
//! an [`event`]; the [`supervisor`] counts. [`phase`] says how the demo ends.

mod args;
mod event;
mod guide;
mod node;
mod phase;
mod ports;
mod producer;
mod run;
mod screen;
mod supervisor;
mod tally;

pub(super) use args::{DemoArgs, EXAMPLES};
pub(super) use run::run;
