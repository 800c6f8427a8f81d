//! Tests with real processes: a real Consul, nodes that are really killed, the
//! real producer. Run them with `make test`, which builds what they need.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod containers;
mod deploy;
mod election;
mod first_generation;
mod http;
mod sink;
mod support;
mod swap;
mod tls;
