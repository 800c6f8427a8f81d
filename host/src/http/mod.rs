//! HTTP: what clients, operators, monitors and the other nodes ask of a node.

pub(crate) mod admin;
mod charged_body;
mod drain_rate;
pub(crate) mod ingest;
mod memory_budget;
pub(crate) mod peer;
mod peer_problem;
mod problem;
mod response;
mod router;
mod server;
mod tls;

pub(crate) use ingest::IngestConfig;
pub(crate) use router::router;
pub(crate) use server::{BoundServer, Server, ServerConfig, ServerError};
pub(crate) use tls::TlsFiles;
