//! The part of Consul's HTTP API that Sluice uses: one file per family of
//! routes.

mod agent;
mod answer;
mod answer_body;
mod call;
mod catalog;
mod catalog_shape;
mod connection;
mod context;
mod health;
mod hosts;
mod json_list;
mod kv;
mod problem;
mod query;
mod registration;
mod routes;
mod server;
mod session;
mod shape;
mod txn;
mod uuid;

pub(super) use connection::Connections;
pub use connection::MAX_CONNECTIONS;
pub(super) use context::{Context, LARGE_BODIES, NodeIdentity};
pub(super) use hosts::Hosts;
pub(super) use server::serve;
