//! Which sink runs, and how far it is: what the status, the nodes' keys and
//! the active sink's key show.

use serde::{Deserialize, Serialize};

/// Which sink is wanted and which one there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// The wanted one.
    pub desired: WantedPlugin,
    /// The one that there is.
    pub active: ActivePlugin,
    /// Why they differ, or what is wrong.
    pub error: Option<String>,
}

/// The sink that is asked for, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedPlugin {
    /// Where it comes from; nothing if what asks for it can not be read.
    pub source: Option<String>,
    /// Its digest, in hex; nothing if it is not known.
    pub sha256: Option<String>,
}

/// Which sink it is, as people name it and as its bytes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where it came from, for example `builtin:stdout`.
    pub source: String,
    /// The SHA-256 of the component's bytes, in lower-case hex.
    pub sha256: String,
}

/// The sink that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivePlugin {
    /// Which one.
    #[serde(flatten)]
    pub name: Identity,
    /// How far it is.
    pub state: PluginPhase,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// How far a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginPhase {
    /// Being read and compiled.
    Preparing,
    /// Compiled, ready to be opened.
    Prepared,
    /// Being opened.
    Opening,
    /// Taking records.
    Running,
    /// It could not be opened.
    Failed,
}
