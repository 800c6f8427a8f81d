//! How far the end of the listeners is.

use tokio::sync::watch;

/// How far the end of the listeners is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    /// What has arrived is still delivered, and nothing more is waited for.
    Stopping,
    /// Everything ends now.
    Cut,
}

/// Waits until the listeners are to stop.
pub(super) async fn stopping(stages: &mut watch::Receiver<Stage>) {
    // The sender being gone means the same.
    drop(stages.wait_for(|stage| *stage != Stage::Serving).await);
}

/// Waits until everything is to end.
pub(super) async fn cut(stages: &mut watch::Receiver<Stage>) {
    drop(stages.wait_for(|stage| *stage == Stage::Cut).await);
}
