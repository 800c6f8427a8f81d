//! Why a component cannot be read.

use std::io;
use std::path::PathBuf;

use sluice_types::readable::MAX_SOURCE;
use thiserror::Error;

use crate::plugin::path_list::path_list;

/// The largest component that is loaded, in bytes.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 64 << 20;
/// What a source looks like, for errors.
pub(crate) const EXPECTED: &str = "builtin:stdout, file:///absolute/path.wasm, \
    https://host/path.wasm, oci://registry/repository:tag (or @sha256:...) or kv:<sha256>";

/// Why a component cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The text is not a source.
    #[error("read the plugin source {0:?}: expected {EXPECTED}")]
    Unknown(String),
    /// The text cannot be shown as it is.
    #[error(
        "read the plugin source: expected {EXPECTED}, without control or bidirectional \
         characters, in at most {MAX_SOURCE} characters; it is {0:?}"
    )]
    Unreadable(String),
    /// The text is not a place to push to.
    #[error("push to {0:?}: expected kv or oci://registry/repository[:tag]")]
    Destination(String),
    /// The file is not below a directory that plugins may come from.
    #[error(
        "read the plugin {}: it is in none of the plugin directories ({}); move it there, or \
         start the node with --plugin-dir {}",
        .file.display(), path_list(.allowed), .file.parent().unwrap_or(.file).display()
    )]
    NotInPluginDir {
        /// The file, as the manifest names it.
        file: PathBuf,
        /// The plugin directories.
        allowed: Vec<PathBuf>,
    },
    /// A link on the way to the file is not followed.
    #[error(
        "read the plugin {}: a symbolic link on the way to it leads out of the plugin directory; \
         use a relative link that stays in the directory, or copy the file there", .0.display()
    )]
    LeadsOut(PathBuf),
    /// The file cannot be read.
    #[error("read the plugin {} on this node", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// The file is larger than any sink.
    #[error(
        "read the plugin {}: it has {size} bytes, more than the {MAX_COMPONENT_BYTES} that are \
         loaded; is it a component?", .file.display()
    )]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
}
