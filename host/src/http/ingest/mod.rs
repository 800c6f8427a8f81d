//! The routes that take messages: one file or folder per protocol.
//!
//! A protocol decodes a request into records and encodes the outcome as its
//! clients read it. [`Ingest`] holds what all protocols share: the token, the
//! leader, the body's limits, the queue, the wait until the deadline, and the
//! form of errors. A protocol's handler sets the deadline and calls these steps;
//! `native/handlers.rs` shows their order.

mod admission;
mod awaited;
pub(super) mod baseline;
mod body;
mod charge;
mod client;
mod config;
mod counted;
mod decoders;
mod forward;
pub(super) mod native;
mod pieces;
mod repeated;
mod request_span;
mod service;
pub(in crate::http) mod standard;
mod unread;

pub(crate) use charge::Charge;
pub(crate) use client::Sending;
pub(crate) use config::{Follower, IngestConfig, IngestLimits};
pub(crate) use forward::{ForwardError, Forwarder};
pub(crate) use request_span::RequestTracer;
pub(crate) use service::{Ingest, Offer};
pub(crate) use standard::{Delivered, NodeFacts, Relay, Standard};
