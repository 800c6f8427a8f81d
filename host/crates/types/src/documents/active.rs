//! The document of `<c>/active`.

use serde::{Deserialize, Serialize};

use crate::plugin::{Identity, PluginPhase};
use crate::readable::error_field;

/// A manifest together with the component that it was prepared from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedManifest {
    /// The manifest, as its key holds it.
    pub manifest: String,
    /// The SHA-256 of the component's bytes, in lower-case hex.
    pub sha256: String,
}

/// A manifest that is on probation, since the time of its
/// [`ActiveDocument`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbationDocument {
    /// How long it lasts, in seconds.
    pub seconds: u64,
    /// What comes back if it fails.
    pub predecessor: PreparedManifest,
}

/// A manifest that must not be tried again until its key changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedManifest {
    /// The `ModifyIndex` of the key that asked for it; 0 if it does not come
    /// from the key.
    pub index: u64,
    /// When it failed, in RFC 3339.
    #[serde(default)]
    pub at: String,
    /// The manifest and the component that failed.
    #[serde(flatten)]
    pub prepared: PreparedManifest,
    /// Why.
    #[serde(with = "error_field")]
    pub reason: String,
}

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
    /// The sink is on probation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation: Option<ProbationDocument>,
    /// What is asked for has failed, and this sink has come back or stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedManifest>,
    /// The sink runs only because the leader has no predecessor of it: it has not
    /// passed a probation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unproven: bool,
    /// The nodes that have yet to prepare what is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
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
            probation: None,
            failed: None,
            unproven: false,
            waits_for: Vec::new(),
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

    #[test]
    fn a_roll_out_has_its_own_fields() {
        let mut document: ActiveDocument = serde_json::from_value(json!({
            "source": "builtin:stdout", "sha256": "ab", "state": "running", "since": "then",
            "why": "", "node": "a", "index": 7, "manifest": "{}",
        }))
        .unwrap();
        let prepared = PreparedManifest {
            manifest: "builtin:stdout".to_owned(),
            sha256: "cd".to_owned(),
        };
        document.probation = Some(ProbationDocument {
            seconds: 30,
            predecessor: prepared.clone(),
        });
        document.failed = Some(FailedManifest {
            index: 9,
            at: "then".to_owned(),
            prepared,
            reason: "it trapped".to_owned(),
        });
        document.waits_for = vec!["b".to_owned()];
        let wire = serde_json::to_value(&document).unwrap();
        let predecessor = json!({ "manifest": "builtin:stdout", "sha256": "cd" });
        let probation = json!({ "seconds": 30, "predecessor": predecessor });
        assert_eq!(wire["probation"], probation);
        let failed = json!({
            "index": 9, "at": "then", "manifest": "builtin:stdout", "sha256": "cd",
            "reason": "it trapped",
        });
        assert_eq!(wire["failed"], failed);
        assert_eq!(wire["waits_for"], json!(["b"]));
        let read: ActiveDocument = serde_json::from_value(wire).unwrap();
        assert_eq!(read, document);
    }
}
