//! What log clients send, and what they read of an answer: one file or folder
//! for each protocol. Bytes become records, and outcomes become bytes; nothing
//! here waits, or knows of connections.
//!
//! A decoder charges a [`meter::Meter`] before it allocates, and gives what it
//! found to a [`decoded::Decoding`]. A record that cannot be decoded does not
//! take its neighbours along: it becomes a rejection with its place in the body.

pub mod answer;
pub mod aws_logs;
pub mod cloudflare;
pub mod datadog;
mod date;
pub mod decoded;
pub mod elasticsearch;
pub mod encoding;
pub mod error;
pub mod forward;
#[cfg(test)]
mod fuzzing;
pub mod gelf;
pub mod heroku;
pub mod journald;
mod json;
pub mod loki;
pub mod memory_budget;
pub mod meter;
pub mod native;
pub mod otlp;
mod plain;
pub mod query;
pub mod rejected;
pub mod relp;
pub mod repeats;
pub mod severity;
pub mod splunk;
pub mod syslog;
mod text;
mod time;
pub mod tokens;
