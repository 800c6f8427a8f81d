//! The documents of `<c>/history/<n>`.

use serde::{Deserialize, Serialize};

use super::active::ActiveDocument;
use crate::plugin::{Identity, PluginPhase};
use crate::readable::error_field;

/// What happened to a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginEvent {
    /// It went live.
    #[default]
    Live,
    /// It has failed, and is not tried again until its key changes.
    Failed,
}

/// A change of the sink, as the leader of that time has written it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryDocument {
    /// What happened.
    #[serde(default)]
    pub event: PluginEvent,
    /// When, in RFC 3339.
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
    /// Why it went live, or why it has failed.
    #[serde(alias = "why", with = "error_field")]
    pub reason: String,
}

impl HistoryDocument {
    /// What the leader's document says that the latest entries, the newest last, do
    /// not say yet. First what has failed, then what runs now.
    #[must_use]
    pub fn news(active: &ActiveDocument, latest: &[Self]) -> Vec<Self> {
        let entry = |event, at: &str, sha256: &str, manifest: &str, index, reason: &str| Self {
            event,
            at: at.to_owned(),
            sha256: sha256.to_owned(),
            manifest: manifest.to_owned(),
            index,
            node: active.node.clone(),
            epoch: active.epoch,
            reason: reason.to_owned(),
        };
        let failed = active.failed.as_ref().map(|failed| {
            let (of, reason) = (&failed.prepared, &failed.reason);
            entry(
                PluginEvent::Failed,
                &failed.at,
                &of.sha256,
                &of.manifest,
                failed.index,
                reason,
            )
        });
        let Identity { sha256, .. } = &active.plugin;
        let live = (active.state == PluginPhase::Running).then(|| {
            entry(
                PluginEvent::Live,
                &active.since,
                sha256,
                &active.manifest,
                active.index,
                &active.why,
            )
        });
        let is_news = |entry: &Self| {
            let mut earlier = latest.iter().rev();
            let last = earlier.find(|earlier| earlier.event == entry.event);
            !last.is_some_and(|last| last.is_about_what(entry))
        };
        [failed, live]
            .into_iter()
            .flatten()
            .filter(is_news)
            .collect()
    }

    /// Whether both are about the same manifest, component and request.
    fn is_about_what(&self, other: &Self) -> bool {
        (&self.sha256, &self.manifest, self.index) == (&other.sha256, &other.manifest, other.index)
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

    fn events(news: &[HistoryDocument]) -> Vec<(PluginEvent, &str)> {
        news.iter()
            .map(|entry| (entry.event, entry.manifest.as_str()))
            .collect()
    }

    #[test]
    fn what_went_live_is_noted_once_under_any_leader() {
        let mut first = active("one", 7);
        let mut history = HistoryDocument::news(&first, &[]);
        assert_eq!(events(&history), [(PluginEvent::Live, "one")]);
        first.node = "b".to_owned();
        first.epoch = 4;
        assert_eq!(HistoryDocument::news(&first, &history), []);
        let second = active("two", 9);
        history.extend(HistoryDocument::news(&second, &history));
        first.index = 11;
        history.extend(HistoryDocument::news(&first, &history));
        let names: Vec<_> = history.iter().map(|entry| &entry.manifest).collect();
        assert_eq!(names, ["one", "two", "one"]);
        first.state = PluginPhase::Failed;
        first.index = 12;
        assert_eq!(HistoryDocument::news(&first, &history), []);
    }

    #[test]
    fn what_has_failed_comes_before_what_came_back() {
        let (good, tried) = (active("good", 7), active("bad", 9));
        let mut history = HistoryDocument::news(&good, &[]);
        history.extend(HistoryDocument::news(&tried, &history));
        let mut back = good;
        back.failed = Some(
            serde_json::from_value(json!({
                "at": "now", "index": 9, "manifest": "bad", "sha256": "ab", "reason": "it traps",
            }))
            .unwrap(),
        );
        let news = HistoryDocument::news(&back, &history);
        let expected = [(PluginEvent::Failed, "bad"), (PluginEvent::Live, "good")];
        assert_eq!(events(&news), expected);
        assert_eq!(
            (news[0].reason.as_str(), news[0].at.as_str()),
            ("it traps", "now")
        );
        assert_eq!(news[1].at, "then");
        history.extend(news);
        assert_eq!(HistoryDocument::news(&back, &history), []);
    }
}
