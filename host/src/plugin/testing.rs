//! Fakes for tests of the controller: sinks that are never opened, and a
//! preparer whose work the test does.

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use super::candidate::{Candidate, Prepare, Trial};
use super::digest::sha256;
use super::error::PluginError;
use super::manifest::Manifest;
use super::source::{Source, SourceError, Stamp};
use super::store::{Kept, StoreError};
use sluice_types::outcome::WriteError;
use sluice_types::plugin::Identity;
use sluice_types::sink::{BoxFuture, Sink, SinkInstance};

/// A sink that is never opened.
#[derive(Debug)]
struct FakeSink(Identity);

impl Sink for FakeSink {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
        unreachable!("the controller opens no sink")
    }
}

/// A candidate of this manifest, whose component is the text of its source.
pub(super) fn candidate(manifest: &str) -> Candidate {
    let manifest: Manifest = manifest.parse().unwrap();
    let component = manifest.source.to_string();
    candidate_of(manifest, &component)
}

fn candidate_of(manifest: Manifest, component: &str) -> Candidate {
    let identity = Identity {
        source: manifest.source.to_string(),
        sha256: sha256(component.as_bytes()),
    };
    Candidate::new(manifest, Arc::new(FakeSink(identity)))
}

/// The stamp of a source, wherever its file is.
fn stamp(source: &Source) -> Option<Stamp> {
    source.stamp(&["/".into()])
}

/// A preparation that the controller waits for.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) manifest: Manifest,
    /// Whether it is made from the copy on disk.
    pub(super) is_revival: bool,
    /// What it is to be told of an interrupted compilation; `None` for a revival.
    pub(super) trial: Option<Trial>,
    reply: oneshot::Sender<(Option<Stamp>, Result<Candidate, PluginError>)>,
}

impl Preparation {
    /// Fails the test unless this manifest is to be prepared.
    #[track_caller]
    pub(super) fn of(self, manifest: &str) -> Self {
        assert_eq!(self.manifest, manifest.parse::<Manifest>().unwrap());
        self
    }

    /// Prepares what is asked for.
    pub(super) fn succeed(self) {
        let component = self.manifest.source.to_string();
        self.succeed_with(&component);
    }

    /// Prepares what is asked for; the source has this component.
    pub(super) fn succeed_with(self, component: &str) {
        let stamp = stamp(&self.manifest.source);
        let prepared = candidate_of(self.manifest, component);
        self.reply.send((stamp, Ok(prepared))).unwrap();
    }

    /// Fails, for a reason that contains this text.
    pub(super) fn fail(self, reason: &str) {
        let error = PluginError::Source(SourceError::Unknown(reason.to_owned()));
        let stamp = stamp(&self.manifest.source);
        self.reply.send((stamp, Err(error))).unwrap();
    }

    /// Fails because the node was killed while it compiled the component.
    pub(super) fn was_interrupted(self) {
        let error = PluginError::Interrupted {
            source_name: self.manifest.source.to_string(),
            note: "note".into(),
        };
        let stamp = stamp(&self.manifest.source);
        self.reply.send((stamp, Err(error))).unwrap();
    }

    /// Whether the controller has given it up.
    pub(super) fn is_given_up(&mut self) -> bool {
        self.reply.is_closed()
    }

    /// Waits until the controller gives it up.
    pub(super) async fn given_up(mut self) {
        self.reply.closed().await;
    }
}

/// Sends each preparation to the test, and keeps sinks in memory.
#[derive(Debug)]
pub(super) struct FakePreparer {
    preparations: mpsc::UnboundedSender<Preparation>,
    kept: Mutex<Option<Kept>>,
    /// Writes wait until its sender is gone.
    disk: Mutex<Option<std_mpsc::Receiver<()>>>,
}

impl FakePreparer {
    /// A preparer with this sink on its disk.
    pub(super) fn new(kept: Option<Kept>) -> (Arc<Self>, mpsc::UnboundedReceiver<Preparation>) {
        let (preparations, received) = mpsc::unbounded_channel();
        let preparer = Self {
            preparations,
            kept: Mutex::new(kept),
            disk: Mutex::new(None),
        };
        (Arc::new(preparer), received)
    }

    /// Holds up the next write until the sender is dropped.
    pub(super) fn hold_disk(&self) -> std_mpsc::Sender<()> {
        let (hold, released) = std_mpsc::channel();
        *self.disk.lock().unwrap() = Some(released);
        hold
    }

    async fn ask(
        &self,
        manifest: Manifest,
        trial: Option<Trial>,
    ) -> (Option<Stamp>, Result<Candidate, PluginError>) {
        let (reply, replied) = oneshot::channel();
        let preparation = Preparation {
            manifest,
            is_revival: trial.is_none(),
            trial,
            reply,
        };
        self.preparations.send(preparation).unwrap();
        replied.await.unwrap()
    }
}

impl Prepare for FakePreparer {
    fn prepare(
        self: Arc<Self>,
        manifest: Manifest,
        trial: Trial,
    ) -> BoxFuture<'static, (Option<Stamp>, Result<Candidate, PluginError>)> {
        Box::pin(async move { self.ask(manifest, Some(trial)).await })
    }

    fn revive(self: Arc<Self>, kept: Kept) -> BoxFuture<'static, Option<Candidate>> {
        Box::pin(async move {
            let manifest = kept.manifest.parse().unwrap();
            self.ask(manifest, None).await.1.ok()
        })
    }

    fn stamp(&self, source: &Source) -> Option<Stamp> {
        stamp(source)
    }

    fn last_good(&self) -> Option<Kept> {
        self.kept.lock().unwrap().clone()
    }

    fn keep(&self, kept: &Kept, _is_builtin: bool) -> Result<(), StoreError> {
        let held = self.disk.lock().unwrap().take();
        if let Some(held) = held {
            held.recv().unwrap_err();
        }
        *self.kept.lock().unwrap() = Some(kept.clone());
        Ok(())
    }
}
