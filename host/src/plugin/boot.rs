//! Chooses the first sink of a node that starts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::asked::Asked;
use super::candidate::{Candidate, Prepare, Trial};
use super::error::PluginError;
use super::manifest::Manifest;
use super::missing::missing;
use super::source::Stamp;
use super::state::PluginState;
use super::store::Kept;
use super::watched_keys::WatchedKeys;
use sluice_consul::Seen;
use sluice_types::clock::timestamp;

/// How long a node that starts waits for Consul's answer before it takes the
/// last good sink or that of its flag.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a node that has its last good sink waits for the one that is asked
/// for before it serves. Code that was compiled before loads in that time.
const PATIENCE: Duration = Duration::from_millis(500);

/// What runs on a stream if neither the sink that is asked for nor the last good one
/// can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastResort {
    /// That of the flag.
    Flag,
    /// None: records must go nowhere else.
    Nothing,
}

/// The end of a preparation.
pub(super) type Done = (Option<Stamp>, Result<Candidate, PluginError>);

/// The state of a node that starts.
pub(super) struct Boot {
    pub(super) state: PluginState,
    /// The manifest that is asked for, unless it cannot be read.
    pub(super) desired: Option<Manifest>,
    /// The stamp of its source just before it was read.
    pub(super) stamp: Option<Stamp>,
    /// The last good sink on disk.
    pub(super) kept: Option<Kept>,
    /// Still prepares the desired sink, if that takes long; at most one task.
    pub(super) preparing: JoinSet<Done>,
    /// Whether to prepare the desired sink again later.
    pub(super) must_retry: bool,
}

/// How far the sink that is asked for is when the node begins to serve.
enum First {
    Prepared(Arc<Candidate>),
    /// It cannot be prepared, and whether it makes sense to try again.
    Failed {
        problem: String,
        must_retry: bool,
    },
    /// The last good one serves meanwhile.
    Preparing,
}

/// Prepares the sink that the key asks for, else the last good one on disk,
/// else the last resort. With a last good one, what takes long is left to be
/// done while the node serves.
///
/// # Errors
/// None of them can run.
pub(super) async fn boot(
    preparer: &Arc<dyn Prepare>,
    flag: &Manifest,
    last_resort: LastResort,
    keys: &mut WatchedKeys,
) -> Result<Boot, PluginError> {
    let kept = preparer.last_good();
    let good = match kept.clone() {
        Some(kept) => Arc::clone(preparer).revive(kept).await.map(Arc::new),
        None => None,
    };
    let asked = first_asked(&mut keys.plugin, flag, good.as_deref()).await;
    let mut preparing = JoinSet::new();
    let (stamp, first) = first(preparer, &asked, good.is_some(), &mut preparing).await;
    let wanted = match (&first, &good) {
        (First::Prepared(candidate), Some(good)) if candidate.is_same_as(good) => Arc::clone(good),
        (First::Prepared(candidate), _) => Arc::clone(candidate),
        (First::Failed { .. } | First::Preparing, Some(good)) => Arc::clone(good),
        (First::Failed { .. } | First::Preparing, None) => match last_resort {
            LastResort::Flag => {
                let preparer = Arc::clone(preparer);
                Arc::new(preparer.prepare(flag.clone(), Trial::Always).await.1?)
            }
            LastResort::Nothing => {
                let asked = asked.manifest.as_ref().unwrap_or(flag);
                Arc::new(missing(asked.clone()))
            }
        },
    };
    let desired = asked.manifest.as_ref().unwrap_or(flag);
    let key_name = keys.name.clone();
    let mut state = PluginState::new(key_name, desired, asked.origin, wanted, good, timestamp());
    let must_retry = enter(&mut state, &asked, first);
    Ok(Boot {
        state,
        desired: asked.manifest.ok(),
        stamp,
        kept,
        preparing,
        must_retry,
    })
}

/// Prepares what is asked for, or begins to if it `may_take_long`.
async fn first(
    preparer: &Arc<dyn Prepare>,
    asked: &Asked,
    may_take_long: bool,
    preparing: &mut JoinSet<Done>,
) -> (Option<Stamp>, First) {
    let failed = |problem, must_retry| First::Failed {
        problem,
        must_retry,
    };
    let manifest = match &asked.manifest {
        Ok(manifest) => manifest.clone(),
        Err(problem) => return (None, failed(problem.clone(), false)),
    };
    let trial = Trial::AskedAt(asked.origin.index());
    preparing.spawn(Arc::clone(preparer).prepare(manifest, trial));
    let done = if may_take_long {
        timeout(PATIENCE, preparing.join_next())
            .await
            .ok()
            .flatten()
    } else {
        preparing.join_next().await
    };
    let Some(done) = done else {
        return (None, First::Preparing);
    };
    match done.unwrap_or_else(|panic| (None, Err(PluginError::Panicked(panic)))) {
        (stamp, Ok(candidate)) => (stamp, First::Prepared(Arc::new(candidate))),
        (stamp, Err(error)) => (stamp, failed(error.one_line(), !error.is_final())),
    }
}

/// Tells the state about the sink that is asked for. Returns whether to prepare
/// it again later.
fn enter(state: &mut PluginState, asked: &Asked, first: First) -> bool {
    match first {
        First::Prepared(_) => state.adopt_wanted(),
        First::Preparing => {
            tracing::info!("serving with the last good sink while another one is prepared");
            state.ask(asked);
        }
        First::Failed {
            problem,
            must_retry,
        } => {
            tracing::error!(
                error = problem,
                "the sink that is asked for cannot run; using another"
            );
            match &asked.manifest {
                Ok(_) => state.preparation_failed(problem),
                Err(_) => state.ask(asked),
            }
            return must_retry;
        }
    }
    false
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
