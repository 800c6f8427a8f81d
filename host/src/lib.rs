//! Sluice: a highly available log sink whose last mile is a WebAssembly
//! plugin.
//!
//! Two walks explain the whole program. A message: [`ingest`] → [`delivery`] →
//! [`sink`] and back. A decision: [`consul`] → [`cluster`] and [`plugin`] →
//! [`tenure`]. They meet in the active sink together with its lease.
//! `docs/ARCHITECTURE.md` follows both through the files.

pub mod backoff;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod consul;
pub mod data_dir;
pub mod delivery;
pub mod embedded;
pub mod error_chain;
pub mod files;
pub mod handover;
pub mod hex;
pub mod ingest;
pub mod internal;
pub mod leader;
pub mod lease;
pub mod metrics;
pub mod node;
pub mod observe;
pub mod plugin;
pub mod record;
pub mod record_form;
pub mod sink;
mod swap;
pub mod tenure;
