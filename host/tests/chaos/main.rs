//! Faults of networks, machines and Consul, on a cluster whose hosts are network
//! namespaces: three Consul servers, three nodes each with an agent of its own,
//! and producers. Whatever happens, two oracles judge: what is acknowledged and
//! when (`oracle.rs`), and what is lost (`../integration/support/checker.rs`).
//! Run them with `make test`, and for long with `make chaos`. They need root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod cluster;
mod gate;
mod lan;
mod oracle;
mod outages;
mod plan;
mod random;
mod starvation;
#[path = "../integration/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "what the tests of processes on one host share; not all of it is for here"
)]
mod support;
mod trace;
