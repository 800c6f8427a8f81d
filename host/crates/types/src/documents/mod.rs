//! The JSON documents that nodes keep in Consul. Each has one struct, which
//! writers and readers share. Readers ignore fields that they do not know, so
//! nodes of two versions can run side by side.

mod active;
mod history;
mod leader;
mod node;

pub use active::{ActiveDocument, FailedManifest, PreparedManifest, ProbationDocument};
pub use history::{HistoryDocument, PluginEvent};
pub use leader::{LeaderAddress, LeaderValue, UnknownLeaderValue};
pub use node::{NodeDocument, NodeSink, StreamReport};
