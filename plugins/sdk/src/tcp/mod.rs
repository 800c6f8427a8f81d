//! TCP connections, over `wasi:sockets`: for protocols that are not HTTP.
//!
//! ```no_run
//! # use std::time::{Duration, Instant};
//! # use sluice_sink::tcp::{Address, Connection};
//! # fn write(address: &Address, bytes: &[u8]) -> Result<(), sluice_sink::Failure> {
//! let deadline = Instant::now() + Duration::from_secs(5);
//! let mut connection = Connection::open(address, deadline)?;
//! connection.send(bytes, deadline)?;
//! let answer = connection.read(deadline)?;
//! # Ok(())
//! # }
//! ```
//!
//! What was sent has not arrived: wait for an answer of the protocol, or for the end
//! that [`Connection::finish`] waits for.
//!
//! [`Connection::start_tls`] makes it a connection with TLS, which the node does
//! (`wasi:tls`): it checks the certificate of the server, and needs no permission but
//! that for the connection. Only components that call it import `wasi:tls`.
//!
//! The manifest has to list the address in `permissions.tcp`, and each node in
//! `--allow-tcp`. A native build connects, too, so that a test can listen on a port;
//! it has no TLS.

mod address;
mod connection;
mod error;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod tls;
#[cfg(target_family = "wasm")]
mod tls_bindings;
#[cfg(target_family = "wasm")]
mod wasi;

pub use address::Address;
pub use connection::Connection;
pub use error::{Cause, Error};
