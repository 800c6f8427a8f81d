//! What the nodes and the command line ask of a node, and nobody else: routes
//! whose requests are signed with the secret that the cluster keeps in Consul.

mod client;
mod routes;
mod secret;
mod takeover;

pub use client::{InternalClient, InternalError, Rejected, Taken};
pub use routes::{Internal, Removed, SteppingDown, Wished, largest, router};
pub use secret::{Secret, keep};
pub use takeover::{Handed, Takeover};
