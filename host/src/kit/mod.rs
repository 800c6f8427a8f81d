//! What authors of sinks use: makes the folder of a new sink ([`new`]), and loads a
//! component as a node does, without a cluster, to put it to the test.
//!
//! A [`Workbench`] holds the compiled component. The checks open instances of it,
//! and look at what it writes: to stdout and stderr, to the directories that it
//! is given, and to a destination over HTTP that stands in for the real one.
//! [`pipe`] only lets records pass through it.

pub(crate) mod check;
mod destination;
pub(crate) mod new;
mod output;
pub(crate) mod pipe;
mod printed;
mod samples;
mod stdout;
mod workbench;

pub(crate) use printed::Printed;
pub(crate) use workbench::Workbench;
