//! Which sink runs: the manifest in `<c>/plugin`, and the way from there to a
//! sink that could be opened.
//!
//! [`Rollout`] follows the key, lets the [`Preparer`] read, verify and compile
//! what it asks for, and publishes the [`Choice`] that the node opens its sink
//! from. What became of it comes back as a [`Report`].

mod board;
mod ceiling;
mod manifest;
mod prepare;
mod rollout;
mod source;
mod store;

pub use board::{Choice, Report};
pub use ceiling::{Beyond, Ceiling};
pub use manifest::{DirectoryWanted, LimitsWanted, Manifest, ManifestError, Permissions};
pub use prepare::{Candidate, PluginError, Preparer};
pub use rollout::{Rollout, RolloutConfig, RolloutView};
pub use source::{Builtin, Source, SourceError, Stamp, sha256};
pub use store::{Kept, Store, StoreError};
