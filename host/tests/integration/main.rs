//! Tests with real processes: a real Consul, nodes that are really killed, the
//! real producer. Run them with `make test`, which builds what they need.
//! With `COORDINATOR=embedded` they run on the embedded coordinator instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod backpressure;
mod containers;
mod dead_letters;
mod demo;
mod deploy;
mod election;
mod embedded;
mod faults;
mod first_generation;
mod http;
mod journal;
mod leadership;
mod sink;
mod support;
mod swap;
mod tls;
