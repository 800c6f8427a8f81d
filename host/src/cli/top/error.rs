//! Why the cluster is not shown.

use std::io;

use thiserror::Error;

#[derive(Debug, Error)]
pub(super) enum TopError {
    #[error(
        "show the cluster: stdout is not a terminal that a screen can be drawn on; use sluice \
         status or sluice status --watch for the nodes, and sluice tail for records"
    )]
    NoTerminal,
    #[error("use the terminal; sluice status and sluice tail need none")]
    Terminal(#[source] io::Error),
    #[error("listen for signals")]
    Signals(#[source] io::Error),
    #[error("see the nodes: they did not answer in time")]
    Slow,
}
