//! `GET /api/v1/plugin`: what is asked for, what runs, what was live before, and
//! what a roll-back would ask for.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::context::{ClusterContext, InStream};
use super::problem::{ClusterProblem, answered, fresh_json};
use super::shown::shown;
use crate::plugin::{Manifest, gains, history};
use sluice_types::documents::{ActiveDocument, HistoryDocument};
use sluice_types::excerpt::excerpt;

/// How long Consul may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The most characters of a manifest in the history.
const MANIFEST_CHARS: usize = 16 << 10;

/// What Consul says of the plugin.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct PluginView {
    pub(crate) asked: Option<Asked>,
    pub(crate) active: Option<ActiveDocument>,
    /// The oldest first.
    pub(crate) history: Vec<Change>,
    /// `None` if nothing else was live before.
    pub(crate) rollback: Option<Rollback>,
}

/// The manifest that is asked for.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Asked {
    /// Where its key was written.
    pub(crate) index: u64,
    pub(crate) manifest: String,
}

/// A manifest that went live, or has failed.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Change {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) entry: HistoryDocument,
}

/// What a roll-back asks for.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Rollback {
    pub(crate) manifest: String,
    /// Since when it was live, in RFC 3339.
    pub(crate) at: String,
    /// What it may do that the one before may not.
    pub(crate) gains: Vec<String>,
}

pub(super) async fn plugin(InStream(context): InStream, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let view = context.plugin().await;
    answered(view.map(|view| fresh_json(&view)), &head)
}

impl ClusterContext {
    /// Reads what Consul says of the plugin.
    pub(super) async fn plugin(&self) -> Result<PluginView, ClusterProblem> {
        let (keys, consul) = (self.keys(), &self.parts.consul);
        let reading = async {
            tokio::try_join!(
                consul.read(&keys.plugin, None),
                consul.read(&keys.active, None),
                history::read(consul, &keys.history),
            )
        };
        let failed = |why: String| ClusterProblem::Elsewhere(format!("Consul: {why}"));
        let read = timeout(ANSWER_LIMIT, reading).await;
        let read = read.map_err(|_| failed("no answer in time".to_owned()))?;
        let (asked, active, changes) = read.map_err(|error| failed(shown(&error)))?;
        let asked = asked.value.and_then(|entry| {
            let manifest = String::from_utf8_lossy(&entry.value).trim().to_owned();
            let index = entry.modify_index;
            (!manifest.is_empty()).then_some(Asked { index, manifest })
        });
        let active = active.value;
        Ok(PluginView {
            rollback: rollback(asked.as_ref(), &changes),
            asked,
            active: active.and_then(|entry| serde_json::from_slice(&entry.value).ok()),
            history: changes.into_iter().map(Change::shortened).collect(),
        })
    }
}

fn rollback(asked: Option<&Asked>, changes: &[(u64, HistoryDocument)]) -> Option<Rollback> {
    let asked: Option<Manifest> = asked.and_then(|asked| asked.manifest.parse().ok());
    let entries = changes.iter().map(|(_, entry)| entry.clone()).collect();
    let (before, manifest) = history::before(entries, asked.as_ref())?;
    let had = asked
        .map(|manifest| manifest.permissions)
        .unwrap_or_default();
    Some(Rollback {
        gains: gains(&manifest.permissions, &had),
        manifest: manifest.to_string(),
        at: before.at,
    })
}

impl Change {
    fn shortened((number, mut entry): (u64, HistoryDocument)) -> Self {
        entry.manifest = excerpt(&entry.manifest, MANIFEST_CHARS).into_owned();
        Self { number, entry }
    }
}
