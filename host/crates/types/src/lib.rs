//! What the crates of Sluice share: records, leases, the trait that every sink
//! implements, and the documents that nodes keep in Consul.

pub mod attributes;
pub mod backoff;
pub mod clock;
pub mod documents;
pub mod endpoint;
pub mod error_chain;
pub mod excerpt;
pub mod files;
pub mod host;
pub mod keys;
pub mod lease;
pub mod listen;
pub mod origin;
pub mod outcome;
pub mod plugin;
pub mod readable;
pub mod record;
pub mod record_document;
pub mod records;
pub mod rejection;
pub mod retry_after;
pub mod sink;
pub mod size;
pub mod stamp;
pub mod stream;
pub mod trace;
mod value;
