//! Faults of networks, machines and Consul, on a cluster whose hosts are
//! network namespaces: three Consul servers, three nodes with an agent each,
//! producers, and three NATS servers where the journal is replicated. Two oracles
//! judge every run: when messages were acknowledged (`oracle.rs`), and whether any
//! were lost (`../integration/support/checker.rs`). With a replicated journal, a
//! third one judges what was delivered when (`deliveries.rs`). `make test` runs
//! these tests; `make chaos` runs random faults for longer. They need root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod cluster;
mod deliveries;
mod gate;
mod lan;
mod oracle;
mod outages;
mod outputs;
mod plan;
mod random;
mod starvation;
#[path = "../integration/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests on one host; not all of it is used here"
)]
mod support;
mod trace;
