//! Tests with real processes: Consul or the embedded coordinator, nodes, and the
//! producer. Run them with `make test`, which builds what they need.
//! `COORDINATOR` set to `consul` or `embedded` chooses the coordinator of all
//! tests; otherwise only tests of elections, swaps and outages run on Consul.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

mod access;
mod actions;
mod alerts;
mod backpressure;
mod bundle;
mod check;
mod concurrency;
mod containers;
mod dead_letters;
mod demo;
mod deploy;
mod election;
mod embedded;
mod faults;
mod first_generation;
mod handshakes;
mod history;
mod hostile;
mod http;
mod journal;
mod leadership;
mod listeners;
mod meters;
mod network;
mod network_tls;
mod operator;
mod page;
mod recorded;
mod rejects;
mod replicated;
mod replicated_access;
mod replicated_ids;
mod revoked;
mod rollout;
mod signing;
mod sink;
mod sources;
mod standard;
mod streams;
mod support;
mod swap;
mod tail;
mod tls;
mod tls_clients;
mod tls_out;
mod top;
mod traces;
mod trust;
mod upgrade;
mod versions;
mod views;
