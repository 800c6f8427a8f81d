//! Which sink runs, and how far it is: what the status, the nodes' keys and
//! the active sink's key show.

use serde::{Deserialize, Serialize};

use crate::readable::{error_field, source_field};

/// The sink that is asked for, and the one that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// The sink that is asked for.
    pub desired: WantedPlugin,
    /// The sink that there is.
    pub active: ActivePlugin,
    /// Why they differ, or what is wrong.
    #[serde(default, with = "error_field")]
    pub error: Option<String>,
    /// The nodes that a leader waits for before it switches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}

/// The sink that is asked for, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedPlugin {
    /// Where it comes from; `None` if what asks for it cannot be read.
    #[serde(default, with = "source_field")]
    pub source: Option<String>,
    /// The SHA-256 of its bytes, in hex; `None` if it is not known.
    pub sha256: Option<String>,
}

/// Which sink it is: by name, and by its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where it comes from, for example `builtin:stdout`.
    #[serde(with = "source_field")]
    pub source: String,
    /// The SHA-256 of the component's bytes, in lower-case hex.
    pub sha256: String,
}

/// A sink that a node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivePlugin {
    /// Which sink it is.
    #[serde(flatten)]
    pub name: Identity,
    /// How far it is.
    pub state: PluginPhase,
    /// Since when it has been in that state, in RFC 3339.
    pub since: String,
}

/// How far a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginPhase {
    /// It is being read and compiled.
    Preparing,
    /// It is compiled, and can be opened.
    Prepared,
    /// It is being opened.
    Opening,
    /// It takes records.
    Running,
    /// It could not be opened.
    Failed,
}

impl PluginPhase {
    /// Its name, as in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Opening => "opening",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }
}
