//! The steps in which the demo ends.

use std::time::Duration;

use tokio::sync::watch;

use super::screen::{Label, Screen};
use crate::cli::signals::Signals;

/// How long the last message may take to be acknowledged.
pub(super) const LAST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node may take to stop before it is killed.
pub(super) const NODE_STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long killed nodes may take to disappear.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// What all parts do at the moment. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nodes run, the producer sends.
    Running,
    /// The producer stops after the message that it is sending.
    LastMessage,
    /// The nodes stop.
    Stop,
    /// The nodes are killed.
    Kill,
}

/// Moves to a phase, unless the demo is beyond it already.
pub(super) fn advance(phase: &watch::Sender<Phase>, to: Phase) {
    phase.send_if_modified(|now| {
        let is_later = *now < to;
        *now = (*now).max(to);
        is_later
    });
}

/// Waits until a phase or a later one is reached.
pub(super) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // Without its sender the demo is over.
    let _over = phase.wait_for(|now| *now >= wanted).await;
}

/// Ends the demo when its time is over, at a signal, or when stdout is closed.
/// Kills it at a further signal, and returns when the nodes should be gone.
pub(super) async fn end(
    phase: &watch::Sender<Phase>,
    mut signals: Signals,
    time: Option<Duration>,
    screen: &Screen,
) {
    let time_is_over = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.next() => {
            screen.try_say(&Label::demo(), "stopping; a second signal stops at once");
        }
        () = time_is_over => screen.try_say(&Label::demo(), "the time is over: stopping"),
        () = screen.closed() => {}
    }
    advance(phase, Phase::LastMessage);
    signals.next().await;
    advance(phase, Phase::Kill);
    tokio::time::sleep(KILL_TIMEOUT).await;
}
