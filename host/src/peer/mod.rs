//! How nodes and the command line ask things of a node that nobody else may:
//! requests signed with the secret that the cluster keeps in Consul.

mod client;
mod secret;
pub mod wire;

pub use client::{PeerClient, PeerError, Rejected, Taken};
pub use secret::{SIGNATURE, Secret, is_recent, keep};
