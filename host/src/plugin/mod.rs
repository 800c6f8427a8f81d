//! Which sink runs: the manifest in `<c>/plugin`, and the way from there to a
//! sink that could be opened.
//!
//! [`PluginController`] follows the key, lets the [`Preparer`] read, verify and compile
//! what it asks for, and publishes the [`Choice`] that the node opens its sink
//! from. What became of it comes back as a [`Report`].

mod ceiling;
mod config;
mod controller;
mod manifest;
mod prepare;
mod source;
mod state;
mod store;

pub use ceiling::{Beyond, Ceiling};
pub use config::{PluginConfig, PreparerError};
pub use controller::{ControllerConfig, ControllerView, PluginController};
pub use manifest::{DirectoryWanted, LimitsWanted, Manifest, ManifestError, Permissions};
pub use prepare::{Candidate, PluginError, Preparer};
pub use source::{Builtin, Source, SourceError, Stamp, sha256};
pub use state::{Choice, Report};
pub use store::{Kept, Store, StoreError};
