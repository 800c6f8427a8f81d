//! Notices changes of the file that the desired sink comes from.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::source::{Source, Stamp};

/// How often the file's stamp is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the stamp of a changed file must stay the same before the change
/// is reported: it may still be being written.
const SETTLE_TIME: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct FileWatch {
    /// At most one task.
    polling: JoinSet<()>,
    changed_in: watch::Sender<()>,
    changed: watch::Receiver<()>,
}

impl FileWatch {
    pub(super) fn new() -> Self {
        let (changed_in, changed) = watch::channel(());
        Self {
            polling: JoinSet::new(),
            changed_in,
            changed,
        }
    }

    /// Watches this source instead of the previous one. `read` is its stamp
    /// just before it was last read.
    pub(super) fn watch(&mut self, source: &Source, read: Option<Stamp>) {
        self.stop();
        if source.can_change() {
            let changed = self.changed_in.clone();
            self.polling.spawn(poll(source.clone(), read, changed));
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

async fn poll(source: Source, mut known: Option<Stamp>, changed: watch::Sender<()>) {
    loop {
        sleep(POLL_INTERVAL).await;
        let mut now = stamp(&source).await;
        if now == known {
            continue;
        }
        loop {
            sleep(SETTLE_TIME).await;
            let before = std::mem::replace(&mut now, stamp(&source).await);
            if before == now {
                break;
            }
        }
        known = now;
        changed.send_replace(());
    }
}

async fn stamp(source: &Source) -> Option<Stamp> {
    let source = source.clone();
    spawn_blocking(move || source.stamp()).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn one_change_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        let source: Source = format!("file://{}", file.display()).parse().unwrap();
        let mut watch = FileWatch::new();
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
