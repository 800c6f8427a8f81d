//! The replicated journal's log on NATS JetStream.
//!
//! One stream of JetStream for each stream of Sluice, with one subject, and a second one
//! for the ids of requests. All logs of a node share one connection. Nothing here knows the protocol of the journal: see
//! `sluice_delivery` and `docs/replicated-journal.md`.

mod api;
mod connection;
mod credentials;
mod creds;
mod id_log;
mod id_setup;
mod log;
mod messages;
mod names;
mod reading;
mod servers;
mod setup;
mod trouble;

pub use connection::Connection;
pub use credentials::{CredentialError, Credentials};
pub use id_log::JetStreamIdLog;
pub use log::JetStreamLog;
pub use servers::{Servers, ServersError};
