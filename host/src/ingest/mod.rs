//! HTTP for clients: routes and decoders.
//!
//! A handler turns a body into records, submits them, waits for their outcome
//! and answers; `answer` alone knows the status codes.

mod answer;
mod body;
mod decode;
mod door;
mod forward;
#[cfg(test)]
mod fuzz;
mod handlers;
mod record_json;
mod room;
mod routes;
mod server;
mod time;

pub use door::Door;
pub use forward::{Follower, ForwardError, Forwarder, Peers};
pub use handlers::{Authorization, Ingest, IngestLimits};
pub use room::Room;
pub use routes::router;
pub use server::{Server, ServerError, ServerLimits, Tls};
