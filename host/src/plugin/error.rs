//! Why a manifest gives no sink.

use std::path::PathBuf;

use thiserror::Error;
use tokio::task::JoinError;

use super::ceiling::NotAllowed;
use super::remote::RemoteError;
use super::source::SourceError;
use super::trust::NotTrusted;
use sluice_sandbox::PrepareError;
use sluice_types::error_chain::chain;

/// Why a manifest gives no sink.
#[derive(Debug, Error)]
pub(crate) enum PluginError {
    /// The component cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The component is another one than the manifest names.
    #[error(
        "verify {source_name}: its SHA-256 is {found}, but the manifest says {expected}; put the \
         right component there, or set sha256 to the digest of the one that you mean"
    )]
    Digest {
        /// The component's source.
        source_name: String,
        /// The manifest's digest.
        expected: String,
        /// The component's digest.
        found: String,
    },
    /// The node may not run the component.
    #[error(transparent)]
    NotTrusted(#[from] NotTrusted),
    /// The component cannot be fetched.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The manifest asks for what the node does not allow.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The component is not a sink.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The node ended while it compiled this component.
    #[error(
        "compile {source_name}: this node was killed while it compiled that, and does not try again \
         by itself; to try again, change the manifest's text (a space is enough), or remove {} and \
         restart the node", .note.display()
    )]
    Interrupted {
        /// The component's source.
        source_name: String,
        /// The note on disk that says so.
        note: PathBuf,
    },
    /// Another sink was asked for before this one was prepared.
    #[error("prepare the sink: another one was asked for in the meantime")]
    Superseded,
    /// The task that prepared the sink panicked.
    #[error("prepare the sink; this is a defect, please report it")]
    Panicked(#[source] JoinError),
}

impl PluginError {
    /// Whether trying again by itself makes no sense before another component, or
    /// the same one again, is asked for.
    pub(super) const fn is_final(&self) -> bool {
        match self {
            Self::Interrupted { .. } => true,
            Self::Prepare(error) => error.is_limit(),
            _ => false,
        }
    }

    /// The error and its causes, as logs and tables show them.
    pub(super) fn one_line(&self) -> String {
        chain(self)
    }
}
