//! The protocols of other products' clients: one file for each, which finds its
//! requests, decodes them and answers them by `sluice-protocols`.
//!
//! `flow.rs` is the way of such a request, and `table.rs` the list of protocols.

mod asked;
mod aws_logs;
mod calls;
mod clock;
mod cloudflare;
mod context;
mod datadog;
mod elasticsearch;
mod exchange;
mod flow;
mod found;
mod gathered;
mod gelf;
mod handlers;
mod heroku;
mod loki;
mod otlp;
mod otlp_grpc;
mod parking;
mod refusing;
mod relay;
mod reply;
mod settling;
mod splunk;
mod table;
mod trouble;
mod upload;

pub(in crate::http) use calls::of_caller;
pub(crate) use context::Standard;
pub(crate) use found::NodeFacts;
pub(in crate::http) use gelf::finishes_alone;
pub(in crate::http) use handlers::{of_client, of_node};
pub(crate) use relay::{Delivered, Relay};
