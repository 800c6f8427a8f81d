//! The part of Consul's HTTP API that Sluice uses: one file per family of
//! routes.

mod agent;
mod answer;
mod call;
mod catalog;
mod catalog_shape;
mod context;
mod health;
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

pub(super) use context::{Context, NodeIdentity};
pub(super) use server::serve;
