use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::hosts::Hosts;
use super::uuid;
use crate::checks::Checks;
use crate::hub::Hub;
use crate::ttl::Ttls;

/// How many large bodies are received at once. Each takes up to twice the most
/// bytes that a body can have.
pub(crate) const LARGE_BODIES: usize = 32;

/// The only datacenter.
pub(super) const DATACENTER: &str = "dc1";

/// What all routes share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) hub: Arc<Hub>,
    pub(crate) ttls: Arc<Ttls>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) node: NodeIdentity,
    pub(crate) hosts: Hosts,
    /// How many more large bodies can be received at once.
    pub(crate) large_bodies: Arc<Semaphore>,
}

/// This machine, as Consul would describe it.
#[derive(Clone, Debug)]
pub(crate) struct NodeIdentity {
    pub(super) name: String,
    pub(super) id: String,
    /// The host by which other machines can reach this one.
    pub(super) address: String,
    pub(super) port: u16,
    /// The address that the coordinator listens on.
    pub(super) server: String,
}

impl NodeIdentity {
    pub(crate) fn new(name: &str, address: String, listen: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            id: uuid::random(),
            address,
            port: listen.port(),
            server: listen.to_string(),
        }
    }
}
