//! What the keeper does as keys come and go.

use std::sync::Arc;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::{CONSUL_TIMEOUT, Keeping, NOTE_ATTEMPTS, Opened, RETRY_INTERVAL};
use crate::plugin::{ControllerConfig, LastResort, StreamPreparer, WatchedKeys};
use crate::stream::config::StreamConfig;
use crate::stream::counter::Counter;
use crate::stream::place::{Place, Running, Stage, join, seen};
use crate::stream::prepared::{PreparedStream, StreamError, StreamStore};
use crate::stream::remembered::Wanted;
use sluice_consul::{Client, Seen};
use sluice_leadership::Runs;
use sluice_types::error_chain::chain;

/// Opening.
impl Keeping {
    /// A manifest is there, and this counter was there before.
    pub(super) fn want(&mut self, name: &str, wanted: &Wanted, counter: Option<Counter>) {
        if !self.places.contains_key(name) {
            self.begin_if_room(name, wanted);
        }
        let Some(place) = self.places.get_mut(name) else {
            return;
        };
        let is_first = place.counter.is_none();
        place.counter = counter;
        let is_news = place.wants(wanted) || is_first;
        if is_news && let Err(error) = self.remembered.keep(name, wanted) {
            tracing::error!(
                stream = name,
                error = chain(&error),
                "the stream cannot be noted on disk: it is not there after a restart without Consul"
            );
        }
        match place.stage {
            Stage::Failed(at) if Instant::now() >= at => {
                place.stage = Stage::Opening;
                self.open(name);
            }
            // It is opened again once it is closed.
            Stage::Closing => self.parts.streams.await_stream(name),
            _ => {}
        }
    }

    /// Begins to open a stream, unless there are as many as there may be.
    pub(super) fn begin_if_room(&mut self, name: &str, wanted: &Wanted) {
        let max = self.parts.config.max_streams;
        if self.places.len() + 1 < max {
            self.refused.remove(name);
            self.begin(name, seen(wanted));
        } else if self.refused.insert(name.to_owned()) {
            tracing::error!(
                stream = name,
                max,
                "this node does not open the stream: it has as many as --max-streams allows"
            );
        }
    }

    /// Begins to open a stream.
    fn begin(&mut self, name: &str, plugin: Seen) {
        self.parts.streams.await_stream(name);
        self.places.insert(name.to_owned(), Place::new(plugin));
        self.open(name);
    }

    fn open(&mut self, name: &str) {
        let Some(place) = self.places.get(name) else {
            return;
        };
        tracing::info!(stream = name, "opening the stream");
        let folder = self.remembered.folder(name);
        let (plugin, active) = place.keys();
        let keys = self.parts.config.keys.stream(name);
        let preparer = Arc::clone(&self.parts.config.preparer);
        let plugins = ControllerConfig {
            keys: WatchedKeys::told(keys.plugin, plugin, active),
            node: self.parts.access.node.clone(),
            flag: self.parts.config.flag.clone(),
            last_resort: LastResort::Nothing,
            preparer: Arc::new(StreamPreparer::new(preparer, folder.join("last-good.json"))),
        };
        let config = StreamConfig {
            name: name.to_owned(),
            ..self.parts.config.config.clone()
        };
        let (metrics, trace) = (
            self.parts.config.metrics.stream(name),
            self.parts.config.trace.clone(),
        );
        let name = name.to_owned();
        self.opening.spawn(async move {
            let opening = tokio::task::spawn_blocking(move || {
                sluice_types::files::own_dir(&folder).map_err(|cause| StreamError::Folder {
                    folder: folder.clone(),
                    cause,
                })?;
                StreamStore::open(config, &folder, metrics, trace)
            });
            let opened = match opening.await {
                Ok(Ok(store)) => store.prepare(plugins).await,
                Ok(Err(error)) => Err(error),
                Err(panic) => Err(StreamError::Panicked(panic)),
            };
            (name, opened)
        });
    }

    /// The opening of a stream has ended.
    pub(super) async fn opened(&mut self, opened: Result<Opened, JoinError>) {
        let (name, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(%error, "a stream was not opened; this is a defect");
                return;
            }
        };
        match opened {
            Ok(prepared) => self.start(&name, prepared).await,
            Err(error) => {
                tracing::error!(
                    stream = name,
                    error = chain(&error),
                    "the stream cannot be opened"
                );
                let at = Instant::now() + RETRY_INTERVAL;
                if let Some(place) = self.places.get_mut(&name) {
                    place.stage = Stage::Failed(at);
                }
                self.retry_at = Some(at);
            }
        }
    }

    async fn start(&mut self, name: &str, prepared: PreparedStream) {
        let Some(place) = self.places.get_mut(name) else {
            return;
        };
        let parts = &self.parts;
        let (node, telling) = join(&parts.elector, name, &prepared.plugins, &parts.access).await;
        let role = node.controls.role.clone();
        let (stream, tasks) = prepared.start(&node);
        place.stage = Stage::Open(Running {
            tasks,
            role,
            telling,
        });
        parts.streams.open(stream);
        tracing::info!(stream = name, "the stream is open");
        // It may be gone already.
        self.reconcile_again();
    }

    fn reconcile_again(&mut self) {
        self.retry_at = Some(Instant::now());
    }

    /// What leaders say of the sinks that run.
    pub(super) fn tell_active(&self, runs: &Runs) {
        for (name, place) in &self.places {
            let active = runs.active.get(name.as_str());
            place.runs(active.map_or(Seen::Absent, |(index, value)| Seen::Present {
                index: *index,
                value: value.to_vec(),
            }));
        }
    }
}

/// Closing.
impl Keeping {
    /// These manifests are not there.
    pub(super) async fn gone(&mut self, names: Vec<String>, runs: Option<&Runs>) {
        let mut seen = Vec::new();
        for name in names {
            let Some(place) = self.places.get(&name) else {
                continue;
            };
            let note = runs.and_then(|runs| runs.closed.get(name.as_str()));
            if matches!(place.stage, Stage::Closing) {
                // It has begun.
            } else if note.is_some_and(|index| place.index() < *index) {
                self.close(&name, false);
            } else if let Some(counter) = place.counter {
                seen.push((name, counter));
            }
        }
        if !seen.is_empty() {
            self.gone_unless_lost(seen).await;
        }
    }

    /// Manifests are not there that were when there was this counter: they were deleted,
    /// unless Consul has lost its state since. It is asked once for all of them.
    async fn gone_unless_lost(&mut self, names: Vec<(String, Counter)>) {
        let read = Counter::read(&self.parts.client, &self.parts.config.keys).await;
        let Ok(now) = read else {
            self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
            return;
        };
        for (name, before) in names {
            if now.is_some_and(|now| now.continues(before)) {
                self.close(&name, true);
            } else if let Some(place) = self.places.get_mut(&name) {
                tracing::warn!(
                    stream = name,
                    "Consul has lost its state: the stream goes on without its manifest's key"
                );
                place.counter = None;
            }
        }
    }

    fn close(&mut self, name: &str, must_note: bool) {
        let Some(place) = self.places.get_mut(name) else {
            return;
        };
        match std::mem::replace(&mut place.stage, Stage::Closing) {
            Stage::Open(running) => {
                tracing::info!(
                    stream = name,
                    "the stream's key was deleted: closing the stream"
                );
                self.parts.streams.remove(name);
                let (elector, client) = (self.parts.elector.clone(), self.parts.client.clone());
                let note_in = must_note.then(|| self.parts.config.keys.closed(name));
                let manifest = place.index();
                let (name, remembered) = (name.to_owned(), self.remembered.clone());
                self.closing.spawn(async move {
                    if let Some(key) = note_in {
                        note(&client, &key, manifest).await;
                    }
                    let has_records = running.close(&name, &elector).await;
                    if has_records {
                        let folder = remembered.folder(&name);
                        tracing::warn!(
                            stream = name,
                            folder = %folder.display(),
                            "records of the closed stream are left on disk; put its key again to \
                             deliver them"
                        );
                    }
                    if let Err(error) = remembered.forget(&name, has_records) {
                        tracing::warn!(
                            stream = name,
                            error = chain(&error),
                            "the closed stream's folder cannot be removed"
                        );
                    }
                    name
                });
            }
            Stage::Failed(_) => {
                self.parts.streams.remove(name);
                self.places.remove(name);
                self.parts.config.metrics.remove(name);
                if let Err(error) = self.remembered.forget(name, true) {
                    tracing::warn!(
                        stream = name,
                        error = chain(&error),
                        "the stream cannot be forgotten"
                    );
                }
            }
            stage @ (Stage::Opening | Stage::Closing) => place.stage = stage,
        }
    }

    /// A stream has closed. Its key may be there again.
    pub(super) fn closed(&mut self, closed: Result<String, JoinError>) {
        match closed {
            Ok(name) => {
                tracing::info!(stream = name, "the stream is closed");
                self.places.remove(&name);
                self.parts.config.metrics.remove(&name);
            }
            Err(error) => tracing::error!(%error, "a stream was not closed; this is a defect"),
        }
        self.reconcile_again();
    }
}

/// Notes for nodes that are not there now that a stream was closed whose manifest was
/// written at this index. Writing what a key holds already would not be a write.
async fn note(client: &Client, key: &str, manifest: u64) {
    let text = manifest.to_string();
    for _ in 0..NOTE_ATTEMPTS {
        match tokio::time::timeout(CONSUL_TIMEOUT, client.write(key, text.clone().into())).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => tracing::debug!(
                key,
                error = chain(&error),
                "could not note that the stream was closed"
            ),
            Err(_) => {}
        }
    }
    tracing::warn!(
        key,
        "could not note in Consul that the stream was closed: nodes that are not there now keep it"
    );
}
