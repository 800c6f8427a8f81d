//! HTTP: what clients, operators, monitors and the other nodes ask of a node.

mod acceptor;
mod activity;
pub(crate) mod admin;
mod balance;
mod charged_body;
mod connection_task;
mod connections;
mod drain_rate;
mod gate;
mod head_memory;
pub(crate) mod ingest;
mod letter_list;
mod listener;
mod mobile_stream;
mod no_answer;
mod origin;
mod other_nodes;
pub(crate) mod peer;
mod peer_problem;
mod problem;
mod response;
mod router;
mod server;
mod serving;
mod signed_body;
mod stage;
mod tls;
mod watched_body;
mod watched_stream;
mod workers;

pub(crate) use ingest::IngestConfig;
pub(crate) use other_nodes::OtherNodes;
pub(crate) use router::router;
pub(crate) use server::{BoundServer, Server, ServerConfig, ServerError};
pub(crate) use tls::TlsFiles;
pub(crate) use workers::{WorkerThreads, Workers};
