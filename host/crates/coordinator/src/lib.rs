//! The embedded coordinator: a small server that speaks the part of Consul's
//! HTTP API that Sluice uses, so that nothing else is needed on one machine.
//!
//! [`store`] holds the state and all its rules, as plain data. Around it are
//! `hub`, which connects the store with clients, blocking queries and the disk;
//! `ttl` and `checks`, which end sessions and probe services; `http`, the routes;
//! and `coordinator`, which starts and stops them all.
//!
//! [`store`] is public for tests of other crates that need a Consul without
//! I/O: the simulation of the leadership runs on it.

mod check_target;
mod checks;
mod coordinator;
mod disk;
mod duration;
mod fields;
mod http;
mod hub;
mod large_answers;
pub mod store;
mod ttl;
mod waiters;

pub use coordinator::{Coordinator, CoordinatorConfig, CoordinatorError};
pub use disk::DiskError;
pub use http::MAX_CONNECTIONS;
