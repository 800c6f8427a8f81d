//! Who may do what at a node.
//!
//! A request carries a token, or comes from a client whose certificate was
//! checked. [`Access`] finds the [`Client`] behind it, and says whether it may do
//! what it asks for. Refusals and actions go to the [`Audit`] log.

mod access;
mod audit;
mod bucket;
mod client;
mod config;
mod entry;
mod event;
mod file;
mod quota;
mod refusal;
mod scope;
mod tally;
mod tokens;

pub use access::{Access, Shown};
pub use audit::{Audit, AuditError};
pub use client::Client;
pub use config::{AccessConfig, AccessError};
pub use event::{Event, Outcome};
pub use file::{Keeper, TokensError};
pub use quota::{Amount, Parked, Quota};
pub use refusal::Refusal;
pub use scope::Scope;
pub use tokens::Tokens;
