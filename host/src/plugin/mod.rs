//! Which sink runs: the manifest in `<c>/plugin`, and the way from there to a
//! sink that can be opened.
//!
//! `PluginController` follows the key, lets a `Prepare` read, verify and compile
//! what it asks for, and publishes the `Choice` from which the stream opens its
//! sink. The stream tells what happened in a `Report`.

mod asked;
mod asked_index;
mod boot;
mod candidate;
mod ceiling;
mod compile_notes;
mod config;
mod controller;
mod digest;
mod error;
mod file_watch;
mod gains;
mod headers_wanted;
pub(crate) mod history;
mod last_good;
mod leader_sink;
mod manifest;
mod manifest_error;
mod manifest_json;
mod missing;
mod path_list;
mod permissions;
mod permissions_digest;
mod pin;
mod prepare;
mod remote;
mod report;
mod retry_delay;
mod rollout;
mod rollout_wanted;
mod signing_wanted;
mod source;
mod state;
mod store;
mod stream_preparer;
#[cfg(test)]
mod testing;
mod text_list;
mod trust;
mod view;
mod watched_keys;

pub(crate) use boot::LastResort;
pub(crate) use candidate::Candidate;
pub(crate) use ceiling::{Ceiling, NotAllowed};
pub(crate) use config::{PluginConfig, PreparerError};
pub(crate) use controller::{ControllerConfig, PluginController};
pub(crate) use digest::sha256;
pub(crate) use error::PluginError;
pub(crate) use gains::gains;
pub use manifest::Manifest;
pub use manifest_error::ManifestError;
pub use permissions::{DirectoryWanted, HeaderWanted, LimitsWanted, Permissions, SigningWanted};
pub(crate) use permissions_digest::{PERMISSIONS_FIELD, permissions_digest};
pub(crate) use pin::{keep_pin, pin};
pub(crate) use prepare::Preparer;
pub(crate) use remote::{Blobs, Http, Registry, Sent};
pub(crate) use report::{Choice, Report, WatchFor};
pub use rollout_wanted::{RolloutWanted, WaitFor};
pub use source::{
    Builtin, HttpUrl, KvBlob, OciReference, PluginFile, RemoteSource, Source, SourceError,
};
pub(crate) use source::{EXPECTED, MAX_COMPONENT_BYTES};
pub(crate) use stream_preparer::StreamPreparer;
pub(crate) use trust::Trust;
pub(crate) use view::ControllerView;
pub(crate) use watched_keys::WatchedKeys;
