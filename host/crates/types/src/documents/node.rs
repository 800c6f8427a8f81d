//! The document of `<c>/nodes/<name>`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plugin::{Identity, PluginPhase, WantedPlugin};
use crate::readable::error_field;
use crate::stream::DEFAULT_STREAM;

/// What a node reports about itself. The key is deleted when the node's session
/// ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDocument {
    /// The node's name.
    pub node: String,
    /// Where clients reach it, `host:port`, filled in by what writes the key.
    #[serde(default)]
    pub address: String,
    /// The highest epoch that it has seen, filled in by what writes the key.
    #[serde(default)]
    pub epoch: u64,
    /// Whether the sink that is asked for is prepared, and opened when it was
    /// last tried. A node that is not eligible leaves the lock to those that
    /// are. Earlier versions do not say, and count as eligible.
    #[serde(rename = "able", default = "yes")]
    pub eligible: bool,
    /// Why it is not.
    #[serde(default, with = "error_field")]
    pub error: Option<String>,
    /// What it reports about streams other than the default one, whose report is in
    /// the fields above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<String, StreamReport>,
    /// The streams that it leads, and the records that each of them took per second
    /// lately, filled in by what writes the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leads: BTreeMap<String, u64>,
    /// The epochs under which it leads them, filled in by what writes the key. Earlier
    /// versions do not say them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenures: BTreeMap<String, u64>,
    /// `None` for a document that does not say, as those of earlier versions.
    #[serde(flatten)]
    pub sink: Option<NodeSink>,
}

/// What a node reports about one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReport {
    /// Whether the node can lead it, as in [`NodeDocument::eligible`].
    #[serde(rename = "able")]
    pub eligible: bool,
    /// Why it cannot.
    #[serde(default, with = "error_field")]
    pub error: Option<String>,
    /// How far it is with the sink.
    #[serde(flatten)]
    pub sink: Option<NodeSink>,
}

/// How far a node is with the sink that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSink {
    /// The version of the node's program.
    #[serde(default)]
    pub version: String,
    /// The sink that the node has.
    pub plugin: Identity,
    /// How far that is.
    pub state: PluginPhase,
    /// Since when, in RFC 3339. Empty in documents of earlier versions.
    #[serde(default)]
    pub since: String,
    /// What is asked for.
    pub desired: WantedPlugin,
    /// The `ModifyIndex` of the manifest's key that the node has seen; 0 if the
    /// sink is not asked for by the key.
    pub index: u64,
    /// The `ModifyIndex` that the node's sink was asked for at.
    pub plugin_index: u64,
    /// Whether the node tries again by itself.
    pub retrying: bool,
}

impl NodeDocument {
    /// The document of a node that has reported nothing yet.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            address: String::new(),
            epoch: 0,
            eligible: false,
            error: None,
            streams: BTreeMap::new(),
            leads: BTreeMap::new(),
            tenures: BTreeMap::new(),
            sink: None,
        }
    }

    /// What it says about the default stream, as a report of one stream.
    #[must_use]
    pub fn report(self) -> StreamReport {
        StreamReport {
            eligible: self.eligible,
            error: self.error,
            sink: self.sink,
        }
    }

    /// What it says about this stream, as if that were its only one; `None` if the
    /// node does not have it.
    #[must_use]
    pub fn for_stream(&self, stream: &str) -> Option<Self> {
        let report = match stream {
            DEFAULT_STREAM => StreamReport {
                eligible: self.eligible,
                error: self.error.clone(),
                sink: self.sink.clone(),
            },
            _ => self.streams.get(stream)?.clone(),
        };
        Some(Self {
            address: self.address.clone(),
            epoch: self.epoch,
            eligible: report.eligible,
            error: report.error,
            sink: report.sink,
            ..Self::new(self.node.as_str())
        })
    }

    /// Whether the node has prepared the component with this digest for the
    /// manifest that was written at this index.
    #[must_use]
    pub fn has_prepared(&self, index: u64, sha256: &str) -> bool {
        let has = |sink: &NodeSink| {
            (sink.index, sink.plugin_index) == (index, index)
                && sink.plugin.sha256 == sha256
                && matches!(sink.state, PluginPhase::Prepared | PluginPhase::Running)
        };
        self.error.is_none() && self.sink.as_ref().is_some_and(has)
    }
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> NodeDocument {
        NodeDocument {
            node: "a".to_owned(),
            address: "10.0.0.1:3000".to_owned(),
            epoch: 3,
            eligible: false,
            error: None,
            streams: BTreeMap::new(),
            leads: BTreeMap::new(),
            tenures: BTreeMap::new(),
            sink: Some(NodeSink {
                version: "0.1.0".to_owned(),
                plugin: Identity {
                    source: "builtin:stdout".to_owned(),
                    sha256: "ab".to_owned(),
                },
                state: PluginPhase::Preparing,
                since: "2026-01-02T03:04:05Z".to_owned(),
                desired: WantedPlugin::default(),
                index: 7,
                plugin_index: 5,
                retrying: false,
            }),
        }
    }

    #[test]
    fn the_fields_have_their_names_on_the_wire() {
        let wire = json!({
            "node": "a",
            "address": "10.0.0.1:3000",
            "epoch": 3,
            "able": false,
            "error": null,
            "version": "0.1.0",
            "plugin": { "source": "builtin:stdout", "sha256": "ab" },
            "state": "preparing",
            "since": "2026-01-02T03:04:05Z",
            "desired": { "source": null, "sha256": null },
            "index": 7,
            "plugin_index": 5,
            "retrying": false,
        });
        assert_eq!(serde_json::to_value(document()).unwrap(), wire);
        let mut later = wire;
        later["of a later version"] = json!({ "x": 1 });
        let read: NodeDocument = serde_json::from_value(later).unwrap();
        assert_eq!(read, document());
    }

    #[test]
    fn other_streams_have_reports_of_their_own() {
        let mut document = document();
        let report = StreamReport {
            eligible: true,
            ..document.clone().report()
        };
        document.streams.insert("audit".to_owned(), report);
        document.leads.insert("audit".to_owned(), 7);
        document.tenures.insert("audit".to_owned(), 5);
        let wire = serde_json::to_value(&document).unwrap();
        assert_eq!(wire["streams"]["audit"]["able"], json!(true));
        assert_eq!(wire["leads"], json!({ "audit": 7 }));
        assert_eq!(wire["tenures"], json!({ "audit": 5 }));
        let read: NodeDocument = serde_json::from_value(wire).unwrap();
        assert_eq!(read, document);
        assert!(read.for_stream("audit").unwrap().eligible);
        assert!(!read.for_stream(DEFAULT_STREAM).unwrap().eligible);
        assert_eq!(read.for_stream("b"), None);
    }

    #[test]
    fn a_node_has_prepared_a_component_for_one_index() {
        let mut document = document();
        let mut with = |state, index, plugin_index| {
            let sink = document.sink.as_mut().unwrap();
            (sink.state, sink.index, sink.plugin_index) = (state, index, plugin_index);
            document.has_prepared(7, "ab") && !document.has_prepared(7, "cd")
        };
        assert!(with(PluginPhase::Prepared, 7, 7));
        assert!(with(PluginPhase::Running, 7, 7));
        assert!(!with(PluginPhase::Preparing, 7, 7));
        assert!(
            !with(PluginPhase::Prepared, 7, 5),
            "it has the previous one"
        );
        assert!(!with(PluginPhase::Prepared, 9, 9), "it is ahead");
        document.error = Some("no".to_owned());
        assert!(!document.has_prepared(7, "ab"));
    }

    #[test]
    fn a_document_of_an_earlier_version_counts_as_eligible() {
        let read: NodeDocument = serde_json::from_value(json!({ "node": "b" })).unwrap();
        assert!(read.eligible);
        assert_eq!((read.address.as_str(), read.epoch), ("", 0));
        assert_eq!((read.error, read.sink), (None, None));
    }

    #[test]
    fn a_document_is_small_and_plain_whatever_the_node_was_asked_for() {
        let garbage = "\u{1b}[31m\u{202e}\n".repeat(50_000);
        let mut document = document();
        document.error = Some(garbage.clone());
        if let Some(sink) = &mut document.sink {
            sink.plugin.source.clone_from(&garbage);
            sink.desired.source = Some(garbage);
        }
        let value = serde_json::to_string(&document).unwrap();
        assert!(value.len() < 16 << 10, "{} bytes", value.len());
        let read: NodeDocument = serde_json::from_str(&value).unwrap();
        let sink = read.sink.unwrap();
        let texts = [read.error, Some(sink.plugin.source), sink.desired.source];
        for text in texts {
            assert!(!text.unwrap().contains(|c: char| c.is_control()));
        }
        // One of a node that escapes nothing is as harmless.
        let wire = json!({ "node": "b", "error": "\u{1b}]0;title\u{7}" });
        let read: NodeDocument = serde_json::from_value(wire).unwrap();
        assert_eq!(read.error.unwrap(), r"\u{1b}]0;title\u{7}");
    }

    #[test]
    fn what_it_says_of_its_sink_may_be_of_another_shape() {
        let mut wire = serde_json::to_value(document()).unwrap();
        wire["state"] = json!("hibernating");
        let read: NodeDocument = serde_json::from_value(wire).unwrap();
        assert!(!read.eligible);
        assert_eq!(read.sink, None);
    }
}
