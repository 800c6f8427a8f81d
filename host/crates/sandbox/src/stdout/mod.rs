//! The node's stdout, shared by all instances of all sinks.
//!
//! WASI's own stdout writes from the guest's thread: a full pipe would block a
//! worker thread, which no deadline can interrupt. So the node owns fd 1. What
//! can be written without waiting is written at once; the rest goes into a
//! bounded buffer, which one thread writes to the descriptor. A flush is done
//! when the bytes have reached the descriptor. Lines of different instances are
//! never joined: a line that its writer leaves unfinished is ended first.

mod buffer;
mod chunk;
mod descriptor;
mod instance;
mod node;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use instance::InstanceStdout;
pub use node::NodeStdout;
