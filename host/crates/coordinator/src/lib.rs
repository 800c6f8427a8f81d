//! The embedded coordinator: a small server that speaks the part of Consul's
//! HTTP API that Sluice uses, so that nothing else is needed on one machine.
//!
//! [`store`] holds the state and all its rules, as plain data. Around it: `hub`
//! (between those who ask, those who wait and the disk), `disk`, `ttl` and
//! `checks` (what happens by itself), `http` (the routes), and `coordinator`,
//! which starts and ends it all.
//!
//! [`store`] is public for tests of other crates that need a Consul without
//! I/O: the simulation of the leadership runs on it.

mod checks;
mod coordinator;
mod disk;
mod duration;
mod fields;
mod http;
mod hub;
pub mod store;
mod ttl;
mod waiters;

pub use coordinator::{Coordinator, CoordinatorConfig, CoordinatorError};
pub use disk::DiskError;
