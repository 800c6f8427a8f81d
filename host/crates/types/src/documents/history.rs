//! The documents of `<c>/history/<n>`.

use serde::{Deserialize, Serialize};

use super::active::ActiveDocument;
use crate::plugin::PluginPhase;
use crate::readable::error_field;

/// A manifest that went live, as the leader of that time has written it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryDocument {
    /// Since when, in RFC 3339.
    pub at: String,
    /// The component's SHA-256, in lower-case hex.
    pub sha256: String,
    /// The manifest, as its key holds it.
    pub manifest: String,
    /// The `ModifyIndex` of the key that asked for it; 0 if it does not come from
    /// the key.
    pub index: u64,
    /// The leader's name.
    pub node: String,
    /// The leader's epoch.
    pub epoch: u64,
    /// Why it went live, for people.
    #[serde(with = "error_field")]
    pub why: String,
}

impl HistoryDocument {
    /// What the leader's document says that the last entry does not say yet.
    #[must_use]
    pub fn news(active: &ActiveDocument, last: Option<&Self>) -> Option<Self> {
        if active.state != PluginPhase::Running {
            return None;
        }
        let news = Self {
            at: active.since.clone(),
            sha256: active.plugin.sha256.clone(),
            manifest: active.manifest.clone(),
            index: active.index,
            node: active.node.clone(),
            epoch: active.epoch,
            why: active.why.clone(),
        };
        (!last.is_some_and(|last| last.is_about_what(&news))).then_some(news)
    }

    /// Whether both are about the same manifest, component and request.
    fn is_about_what(&self, other: &Self) -> bool {
        let (own, others) = (
            (&self.sha256, &self.manifest, self.index),
            (&other.sha256, &other.manifest, other.index),
        );
        own == others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn active(manifest: &str, index: u64) -> ActiveDocument {
        serde_json::from_value(json!({
            "source": "builtin:stdout", "sha256": "ab", "state": "running", "since": "then",
            "why": "asked for", "node": "a", "index": index, "manifest": manifest, "epoch": 3,
        }))
        .unwrap()
    }

    #[test]
    fn what_went_live_is_noted_once_whoever_leads() {
        let mut first = active("one", 7);
        let noted = HistoryDocument::news(&first, None).unwrap();
        assert_eq!((noted.manifest.as_str(), noted.index), ("one", 7));
        first.node = "b".to_owned();
        first.epoch = 4;
        assert_eq!(HistoryDocument::news(&first, Some(&noted)), None);
        let second = active("two", 9);
        assert!(HistoryDocument::news(&second, Some(&noted)).is_some());
        // Asked for again.
        first.index = 11;
        assert!(HistoryDocument::news(&first, Some(&noted)).is_some());
        first.state = PluginPhase::Failed;
        assert_eq!(HistoryDocument::news(&first, Some(&noted)), None);
    }
}
