//! The request to hand the lead over to another node.

use std::time::Duration;

use tokio::sync::watch;

use sluice_leadership::StepDown;

/// How long a leader that hands over leaves the lock to the other nodes if
/// none of them takes it.
const STAY_OUT: Duration = Duration::from_secs(10);

/// What the leader is asked to do with the lock once it has drained. `to` is
/// the node that should lead next, if it matters which one.
pub(super) const fn hand_over(epoch: u64, to: Option<String>) -> StepDown {
    StepDown {
        epoch,
        stay_out: STAY_OUT,
        until_taken: true,
        to,
    }
}

/// Waits until the tenure with this epoch is asked to hand over. A request to
/// another tenure is void.
pub(super) async fn requested(
    requests: &mut watch::Receiver<Option<StepDown>>,
    epoch: u64,
) -> StepDown {
    let is_for_it = |request: &Option<StepDown>| request.as_ref().is_some_and(|r| r.epoch == epoch);
    let request = requests.wait_for(is_for_it).await;
    match request.ok().and_then(|request| request.clone()) {
        Some(request) => request,
        // The stream's handle is gone, so nobody can ask any more.
        None => std::future::pending().await,
    }
}
