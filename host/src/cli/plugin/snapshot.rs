//! What Consul holds about the sinks of a cluster at one moment.

use std::io::IsTerminal;

use serde_json::Value;

use super::desk::Desk;
use crate::cli::api::{ApiClient, ApiError};
use crate::cli::cluster::StreamOf;
use crate::cli::failure::Failure;
use crate::http::cluster::{Overview, PluginView};
use sluice_access::Scope;
use sluice_consul::Client;
use sluice_types::documents::{ActiveDocument, NodeDocument, NodeSink};
use sluice_types::keys::ClusterKeys;
use sluice_types::plugin::PluginPhase;
use sluice_types::readable;
use sluice_types::stream::DEFAULT_STREAM;

pub(super) struct Snapshot {
    /// The index and the text of the manifest's key.
    pub(super) asked: Option<(u64, String)>,
    /// What the leader says, and the document as it is in Consul.
    pub(super) active: Option<(ActiveDocument, Value)>,
    pub(super) nodes: Vec<NodeRow>,
}

/// A node that says which sink it has.
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) sink: NodeSink,
    pub(super) error: Option<String>,
    /// The document as it is in Consul.
    document: Value,
}

/// Whether the nodes have adopted the sink that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All have, and the leader runs it.
    Done,
    /// A node cannot run it, and does not try again.
    Failed,
    InProgress,
}

impl NodeRow {
    fn parse(document: &[u8], stream: &str) -> Option<Self> {
        if stream == DEFAULT_STREAM {
            return Self::of(serde_json::from_slice(document).ok()?);
        }
        let document: NodeDocument = serde_json::from_slice(document).ok()?;
        Self::of(serde_json::to_value(document.for_stream(stream)?).ok()?)
    }

    fn of(document: Value) -> Option<Self> {
        let NodeDocument {
            node, error, sink, ..
        } = serde_json::from_value(document.clone()).ok()?;
        Some(Self {
            name: readable::source(&node),
            sink: sink?,
            error,
            document,
        })
    }

    fn has_failed(&self, index: u64) -> bool {
        self.sink.index == index && self.error.is_some() && !self.sink.retrying
    }

    fn is_ready(&self, index: u64) -> bool {
        let is_up = matches!(
            self.sink.state,
            PluginPhase::Prepared | PluginPhase::Running
        );
        let has_it = (self.sink.index, self.sink.plugin_index) == (index, index);
        is_up && has_it && self.error.is_none()
    }

    /// Its progress with the manifest that was written at this index.
    fn line(&self, index: u64) -> String {
        let Self { name, sink, .. } = self;
        let source = sink.desired.source.as_deref().unwrap_or("the sink");
        match &self.error {
            Some(error) => format!("{name}: {}", red(error)),
            None if sink.state == PluginPhase::Preparing => format!("{name}: preparing {source}"),
            // It still has the previous one.
            None if sink.plugin_index != index => format!("{name}: opening {source}"),
            None => {
                let (source, digest) = (&sink.plugin.source, short_digest(&sink.plugin.sha256));
                format!("{name}: {} {source} {digest}", sink.state.name())
            }
        }
    }
}

impl Snapshot {
    /// # Errors
    /// Consul or the node gives no usable answer.
    pub(super) async fn read(desk: &Desk, of: StreamOf<'_>) -> Result<Self, Failure> {
        match desk {
            Desk::Consul(client) => Self::of_consul(client, of).await,
            Desk::Node(api) => Ok(Self::of_node(api).await?),
        }
    }

    async fn of_node(api: &ApiClient) -> Result<Self, ApiError> {
        let (plugin, overview): (PluginView, Overview) = tokio::try_join!(
            api.get("/api/v1/plugin", &[], Scope::Read),
            api.get("/api/v1/cluster", &[], Scope::Read),
        )?;
        let active = plugin.active.and_then(|active| {
            let document = serde_json::to_value(&active).ok()?;
            Some((active, document))
        });
        let documents = overview.nodes.into_iter().filter_map(|row| row.document);
        let documents = documents.filter_map(|document| serde_json::to_value(document).ok());
        Ok(Self {
            asked: plugin.asked.map(|asked| (asked.index, asked.manifest)),
            active,
            nodes: documents.filter_map(NodeRow::of).collect(),
        })
    }

    async fn of_consul(client: &Client, of: StreamOf<'_>) -> Result<Self, Failure> {
        let (keys, nodes) = (of.keys(), ClusterKeys::new(of.cluster).nodes());
        let (plugin, active, nodes) = tokio::try_join!(
            client.read(&keys.plugin, None),
            client.read(&keys.active, None),
            client.list(&nodes, None)
        )?;
        let asked = plugin.value.and_then(|entry| {
            let text = String::from_utf8_lossy(&entry.value).trim().to_owned();
            (!text.is_empty()).then_some((entry.modify_index, text))
        });
        let active = active.value.and_then(|entry| {
            let document: Value = serde_json::from_slice(&entry.value).ok()?;
            Some((serde_json::from_value(document.clone()).ok()?, document))
        });
        let nodes = nodes.value.iter();
        Ok(Self {
            asked,
            active,
            nodes: nodes
                .filter_map(|entry| NodeRow::parse(&entry.value, of.stream))
                .collect(),
        })
    }

    /// The index at which the manifest was written; 0 if each node uses its
    /// own `--plugin`.
    pub(super) fn index(&self) -> u64 {
        self.asked.as_ref().map_or(0, |(index, _)| *index)
    }

    /// For how many seconds the active sink is on probation, if it is.
    pub(super) fn probation(&self) -> Option<u64> {
        let (active, _) = self.active.as_ref()?;
        active.probation.as_ref().map(|probation| probation.seconds)
    }

    /// The first digits of the digest of the sink that runs on this node, if it leads.
    pub(super) fn runs_on(&self, node: &str) -> Option<&str> {
        let (active, _) = self.active.as_ref()?;
        let runs = active.state == PluginPhase::Running && readable::source(&active.node) == node;
        runs.then(|| short_digest(&active.plugin.sha256))
    }

    pub(super) const fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Judges the manifest that was written at this index.
    pub(super) fn verdict(&self, index: u64) -> Verdict {
        if self.nodes.iter().any(|node| node.has_failed(index)) {
            return Verdict::Failed;
        }
        let runs = self.active.as_ref().is_some_and(|(active, _)| {
            active.index == index && active.state == PluginPhase::Running
        });
        match runs && self.nodes.iter().all(|node| node.is_ready(index)) {
            true => Verdict::Done,
            false => Verdict::InProgress,
        }
    }

    /// The name and the progress of each node that has seen the manifest.
    pub(super) fn lines(&self, index: u64) -> Vec<(String, String)> {
        let seen = self.nodes.iter().filter(|node| node.sink.index == index);
        seen.map(|node| (node.name.clone(), node.line(index)))
            .collect()
    }

    pub(super) fn json(&self) -> Value {
        let asked = self.asked.as_ref().map(|(index, text)| {
            let manifest = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.clone()));
            serde_json::json!({ "index": index, "manifest": manifest })
        });
        serde_json::json!({
            "asked": asked,
            "active": self.active.as_ref().map(|(_, document)| document),
            "nodes": self.nodes.iter().map(|node| &node.document).collect::<Vec<_>>(),
        })
    }
}

/// The first digits of a digest, enough to tell components apart.
pub(super) fn short_digest(sha256: &str) -> &str {
    let digits = sha256.bytes().take(12).take_while(u8::is_ascii_hexdigit);
    sha256.get(..digits.count()).unwrap_or_default()
}

fn red(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\u{1b}[31m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
