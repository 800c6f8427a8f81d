//! Consul's HTTP API, typed: only what Consul 1.8 and its successors share.
//!
//! Every call has a timeout of its own. A 404 is an answer where absence is
//! one ([`Entry`], renewals), never an error.

mod agent;
mod client;
mod config;
mod error;
mod kv;
mod read_many;
mod refusal;
mod session;
mod txn;
mod watch;

pub use agent::{Check, Instance, Registration};
pub use client::Client;
pub use config::{Config, ConfigError};
pub use error::Error;
pub use kv::{Entry, Read, Wait};
pub use refusal::{Refusal, Rollback};
pub use session::{Behavior, NewSession, Session};
pub use txn::{Operation, TxnOutcome};
pub use watch::{Pace, Seen, follow, watch};
