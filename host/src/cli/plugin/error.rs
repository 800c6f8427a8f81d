//! Why a command on plugins failed.

use std::path::PathBuf;

use thiserror::Error;

use crate::minisign::FormError;
use crate::plugin::{EXPECTED, MAX_COMPONENT_BYTES};
use sluice_sandbox::NotComponent;
use sluice_types::keys::ClusterKeys;

#[derive(Debug, Error)]
pub(super) enum PluginCommandError {
    #[error("read --config: it is not JSON")]
    Config(#[source] serde_json::Error),
    #[error(
        "use {0:?}: there is no such file here; give a path, or a source as the nodes see it: \
         {EXPECTED}"
    )]
    NoFile(String),
    #[error("read the component {}", .file.display())]
    Component {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error(
        "use {}: it has more than the {MAX_COMPONENT_BYTES} bytes that nodes load; is it a \
         component?", .0.display()
    )]
    TooLarge(PathBuf),
    #[error("use {}", .file.display())]
    NotComponent {
        file: PathBuf,
        #[source]
        cause: NotComponent,
    },
    #[error("read the records of {}", .file.display())]
    Records {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("read the records of {}: {reason}", .file.display())]
    NotRecords { file: PathBuf, reason: String },
    #[error("find the file {file}")]
    File {
        file: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("create {}: it exists already; choose other names with --out", .0.display())]
    KeyExists(PathBuf),
    #[error("make a key")]
    Keygen(#[source] FormError),
    #[error("use the secret key {}", .file.display())]
    Key {
        file: PathBuf,
        #[source]
        cause: FormError,
    },
    #[error("use the signature {}", .file.display())]
    Signature {
        file: PathBuf,
        #[source]
        cause: FormError,
    },
    #[error("write {}", .file.display())]
    Write {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error(
        "write {0}: somebody else has just written it; see `sluice plugin status`, then try again"
    )]
    Overwritten(String),
    #[error("ask on the terminal")]
    Terminal(#[source] std::io::Error),
    #[error(
        "roll back the cluster {0}: no other manifest was live before; see `sluice plugin history`"
    )]
    NothingBefore(String),
    #[error(
        "find a node of the cluster {0}: there is no key below {keys}; is the name right, and \
         are nodes running?",
        keys = ClusterKeys::new(.0.as_str()).nodes()
    )]
    NoNodes(String),
}
