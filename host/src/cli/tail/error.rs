//! Why `sluice tail` fails.

use std::io;

use thiserror::Error;

#[derive(Debug, Error)]
pub(super) enum TailError {
    #[error(
        "find a node to ask: none is registered in the cluster {0}; start one with: sluice node"
    )]
    NoNode(String),
    #[error("find the node {wanted}: there is none of this name; there are {names}")]
    NoSuchNode { wanted: String, names: String },
    #[error("ask for records: {0}")]
    Asked(String),
    #[error("listen for signals")]
    Signals(#[source] io::Error),
    #[error("ask the node {0}: it did not answer in time")]
    Slow(String),
    #[error("read what the node {0} sends: it is no event")]
    Unreadable(String),
    #[error("read what the node {0} sends: it sends nothing any more")]
    Silent(String),
    #[error("print")]
    Print(#[source] io::Error),
}
