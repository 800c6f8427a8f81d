//! Consul's HTTP API, as far as it is spoken here: one file a family of
//! routes.

mod agent;
mod answer;
mod call;
mod catalog;
mod catalog_shape;
mod health;
mod kv;
mod query;
mod registration;
mod routes;
mod server;
mod session;
mod shape;
mod txn;

pub(super) use server::serve;

use std::sync::Arc;

use super::checks::Checks;
use super::hub::Hub;
use super::ttl::Ttls;

/// The only one there is.
const DATACENTER: &str = "dc1";

/// What the routes work with.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) hub: Arc<Hub>,
    pub(super) ttls: Arc<Ttls>,
    pub(super) checks: Arc<Checks>,
    pub(super) node: NodeIdentity,
}

/// What Consul would say of the machine.
#[derive(Clone, Debug)]
pub(super) struct NodeIdentity {
    pub(super) name: String,
    pub(super) id: String,
    /// The host by which others can reach it.
    pub(super) address: String,
    pub(super) port: u16,
    /// Where this listens.
    pub(super) server: String,
}

impl NodeIdentity {
    pub(super) fn new(name: &str, address: String, listen: std::net::SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            id: session::random_id(),
            address,
            port: listen.port(),
            server: listen.to_string(),
        }
    }
}
