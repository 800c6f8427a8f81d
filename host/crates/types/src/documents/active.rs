//! The document of `<c>/active`.

use serde::{Deserialize, Serialize};

use crate::plugin::{Identity, PluginPhase};
use crate::readable::error_field;

/// What the leader reports about the sink that it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveDocument {
    /// Which sink it is.
    #[serde(flatten)]
    pub plugin: Identity,
    /// How far it is: running, or failed.
    pub state: PluginPhase,
    /// Since when it has been in that state, in RFC 3339.
    pub since: String,
    /// Why this sink runs, for people.
    #[serde(with = "error_field")]
    pub why: String,
    /// The leader's name.
    pub node: String,
    /// The `ModifyIndex` of the manifest's key that asked for this sink; 0 if
    /// the sink does not come from the key.
    pub index: u64,
    /// The manifest that the sink was prepared from, as its key holds it.
    pub manifest: String,
    /// The leader's epoch, filled in by what writes the key.
    #[serde(default)]
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_fields_have_their_names_on_the_wire() {
        let document = ActiveDocument {
            plugin: Identity {
                source: "builtin:stdout".to_owned(),
                sha256: "ab".to_owned(),
            },
            state: PluginPhase::Running,
            since: "then".to_owned(),
            why: "c/plugin asks for it".to_owned(),
            node: "a".to_owned(),
            index: 7,
            manifest: "{}".to_owned(),
            epoch: 3,
        };
        let wire = json!({
            "source": "builtin:stdout",
            "sha256": "ab",
            "state": "running",
            "since": "then",
            "why": "c/plugin asks for it",
            "node": "a",
            "index": 7,
            "manifest": "{}",
            "epoch": 3,
        });
        assert_eq!(serde_json::to_value(&document).unwrap(), wire);
        let mut later = wire;
        later["of a later version"] = json!([1]);
        let read: ActiveDocument = serde_json::from_value(later).unwrap();
        assert_eq!(read, document);
    }
}
