//! Chooses the first sink of a node that starts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::asked::Asked;
use super::candidate::{Candidate, Prepare};
use super::error::PluginError;
use super::manifest::Manifest;
use super::source::Stamp;
use super::state::PluginState;
use super::store::Kept;
use sluice_consul::Seen;
use sluice_types::clock::timestamp;

/// How long a node that starts waits for Consul's answer before it takes the
/// last good sink or that of its flag.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of a node that starts.
pub(super) struct Boot {
    pub(super) state: PluginState,
    /// The manifest that is asked for, unless it cannot be read.
    pub(super) desired: Option<Manifest>,
    /// The stamp of its source just before it was read.
    pub(super) stamp: Option<Stamp>,
    /// The last good sink on disk.
    pub(super) kept: Option<Kept>,
}

/// Prepares the sink that the key asks for, else the last good one on disk,
/// else that of the flag.
///
/// # Errors
/// None of them can run.
pub(super) async fn boot(
    preparer: &Arc<dyn Prepare>,
    flag: &Manifest,
    key_name: String,
    key: &mut watch::Receiver<Seen>,
) -> Result<Boot, PluginError> {
    let prepare = |manifest: &Manifest| Arc::clone(preparer).prepare(manifest.clone());
    let kept = preparer.last_good();
    let good = match kept.clone() {
        Some(kept) => Arc::clone(preparer).revive(kept).await.map(Arc::new),
        None => None,
    };
    let asked = first_asked(key, flag, good.as_deref()).await;
    let (stamp, prepared) = match &asked.manifest {
        Ok(manifest) => {
            let (stamp, prepared) = prepare(manifest).await;
            (stamp, prepared.map_err(|error| error.one_line()))
        }
        Err(problem) => (None, Err(problem.clone())),
    };
    let (wanted, problem) = match (prepared, &good) {
        (Ok(candidate), Some(good)) if candidate.is_same_as(good) => (Arc::clone(good), None),
        (Ok(candidate), _) => (Arc::new(candidate), None),
        (Err(problem), Some(good)) => (Arc::clone(good), Some(problem)),
        // The flag's sink is the last resort.
        (Err(problem), None) => (Arc::new(prepare(flag).await.1?), Some(problem)),
    };
    let desired = asked.manifest.as_ref().unwrap_or(flag);
    let mut state = PluginState::new(key_name, desired, asked.origin, wanted, good, timestamp());
    match problem {
        None => state.adopt_wanted(),
        Some(error) => {
            tracing::error!(
                error,
                "the sink that is asked for cannot run; using another"
            );
            match &asked.manifest {
                Ok(_) => state.preparation_failed(error),
                Err(_) => state.ask(&asked),
            }
        }
    }
    Ok(Boot {
        state,
        desired: asked.manifest.ok(),
        stamp,
        kept,
    })
}

/// What the key asks for if Consul answers in time.
async fn first_asked(
    key: &mut watch::Receiver<Seen>,
    flag: &Manifest,
    good: Option<&Candidate>,
) -> Asked {
    let answered = key.wait_for(|seen| *seen != Seen::Unknown);
    let seen = match timeout(FIRST_ANSWER_TIMEOUT, answered).await {
        Ok(Ok(seen)) => seen.clone(),
        Ok(Err(_)) | Err(_) => Seen::Unknown,
    };
    match (Asked::by_key(&seen, flag), good) {
        (Some(asked), _) => asked,
        (None, Some(good)) => Asked::by_disk(&good.manifest),
        (None, None) => Asked::by_flag(flag),
    }
}
