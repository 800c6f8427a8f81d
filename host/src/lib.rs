//! Sluice: a highly available log sink whose last mile is a WebAssembly
//! plugin.
//!
//! Two paths explain the whole program. A message: `http::ingest` →
//! [`sluice_delivery`] → [`sluice_sandbox`] and back. A decision:
//! [`sluice_consul`] → [`sluice_leadership`] and [`plugin`] → `stream`. They
//! meet in a stream's tenure, which holds the queue, the active sink and the
//! lease. `docs/ARCHITECTURE.md` follows both through the files.

mod allocator;
pub mod cli;
mod config;
mod data_dir;
mod descriptors;
mod diagnostics;
mod history;
mod http;
mod kit;
mod listeners;
mod meters;
pub mod minisign;
mod node;
mod once;
mod peer;
pub mod plugin;
mod rejects;
mod shown;
mod stream;
mod tail;
mod tls;
mod traces;
