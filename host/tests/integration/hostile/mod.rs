//! Attacks on nodes and on the embedded coordinator: each costs only itself.
//! `make hostile` runs them one by one, and prints a row for each: how long an
//! innocent client and `/healthz` waited at most, and the peak of the memory.
//!
//! To add an attack, add a line to a list: of a client, to `attacks` in
//! `requests/attack.rs`, or to the file of its protocol in `protocols`; of a sink, to `ATTACKS` in the sink `sluice-hostile`
//! (`tests/guests/hostile/src/attacks.rs`). One that fits neither gets a test of
//! its own that calls [`Measure::attack`](measure::Measure::attack).

mod authority;
mod compilation;
mod connections;
mod coordinator;
mod delivery;
mod disk;
mod http2;
mod measure;
mod plugins;
mod protocols;
mod requests;

use crate::support::{Cluster, Turn};

/// Starts nodes for attacks that keep all cores busy: no other test runs
/// meanwhile.
async fn alone(count: usize, arguments: &[&str]) -> Cluster {
    // The cluster shares the turn.
    let _turn = Turn::alone();
    Cluster::start(count, arguments).await
}
