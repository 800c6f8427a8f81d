//! HTTP: what clients, operators, monitors and the other nodes ask of a node.

pub mod admin;
pub mod ingest;
mod memory_budget;
pub mod peer;
mod router;
mod server;

pub use memory_budget::MemoryBudget;
pub use router::router;
pub use server::{Server, ServerError, ServerLimits, Tls};
