//! Requests that only nodes and the command line may send to a node: signed
//! with the secret that the cluster keeps in Consul.

mod client;
mod secret;
pub(crate) mod wire;

pub(crate) use client::{PeerClient, PeerError};
pub(crate) use secret::{SIGNATURE, Secret, is_recent, keep};
