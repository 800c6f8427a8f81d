//! Notices changes of the file that the desired sink comes from.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::candidate::Prepare;
use super::source::{Source, Stamp};

/// How often the file's stamp is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the stamp of a changed file must stay the same before the change
/// is reported: it may still be being written.
const SETTLE_TIME: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct FileWatch {
    /// Reads the stamps.
    preparer: Arc<dyn Prepare>,
    /// At most one task.
    polling: JoinSet<()>,
    changed_in: watch::Sender<()>,
    changed: watch::Receiver<()>,
}

/// What a file is compared with.
#[derive(Debug)]
enum Known {
    /// The stamp that it had just before it was read.
    Read(Option<Stamp>),
    /// The one that it has when the watch begins.
    Now,
}

impl FileWatch {
    pub(super) fn new(preparer: Arc<dyn Prepare>) -> Self {
        let (changed_in, changed) = watch::channel(());
        Self {
            preparer,
            polling: JoinSet::new(),
            changed_in,
            changed,
        }
    }

    /// Watches this source instead of the previous one. `read` is its stamp
    /// just before it was last read.
    pub(super) fn watch(&mut self, source: &Source, read: Option<Stamp>) {
        self.start(source, Known::Read(read));
    }

    /// Watches this source instead of the previous one, which is about to be read.
    pub(super) fn watch_from_now(&mut self, source: &Source) {
        self.start(source, Known::Now);
    }

    fn start(&mut self, source: &Source, known: Known) {
        self.stop();
        if source.can_change() {
            let changed = self.changed_in.clone();
            let preparer = Arc::clone(&self.preparer);
            self.polling
                .spawn(poll(preparer, source.clone(), known, changed));
        }
    }

    pub(super) fn stop(&mut self) {
        self.polling = JoinSet::new();
    }

    /// Waits until the file has changed.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as this.
        if self.changed.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

async fn poll(
    preparer: Arc<dyn Prepare>,
    source: Source,
    known: Known,
    changed: watch::Sender<()>,
) {
    let mut known = match known {
        Known::Read(stamp) => stamp,
        Known::Now => stamp(&preparer, &source).await,
    };
    loop {
        sleep(POLL_INTERVAL).await;
        let mut now = stamp(&preparer, &source).await;
        if now == known {
            continue;
        }
        loop {
            sleep(SETTLE_TIME).await;
            let before = std::mem::replace(&mut now, stamp(&preparer, &source).await);
            if before == now {
                break;
            }
        }
        known = now;
        changed.send_replace(());
    }
}

async fn stamp(preparer: &Arc<dyn Prepare>, source: &Source) -> Option<Stamp> {
    let (preparer, source) = (Arc::clone(preparer), source.clone());
    let stamp = spawn_blocking(move || preparer.stamp(&source));
    stamp.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::FakePreparer;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn one_change_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        let source: Source = format!("file://{}", file.display()).parse().unwrap();
        let mut watch = FileWatch::new(FakePreparer::new(None).0);
        watch.watch(&source, None);
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, watch.changed()).await.is_err());
        std::fs::write(&file, "1").unwrap();
        assert!(timeout(hour, watch.changed()).await.is_ok());
        assert!(timeout(hour, watch.changed()).await.is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(timeout(hour, watch.changed()).await.is_ok());
        watch.stop();
        std::fs::write(&file, "2").unwrap();
        assert!(timeout(hour, watch.changed()).await.is_err());
    }
}
