//! How the demo ends, step by step.

use std::time::Duration;

use tokio::sync::watch;

use super::screen::{Label, Screen};
use crate::cli::signals::Signals;

/// How long the message under way may take when the demo ends.
pub(super) const LAST_MESSAGE: Duration = Duration::from_secs(10);
/// How long a node may take to end.
pub(super) const LAST_BREATH: Duration = Duration::from_secs(10);
/// How long nodes take to be gone once they are killed.
const KILLED: Duration = Duration::from_secs(1);

/// What everybody does. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// They play.
    Play,
    /// The producer ends with the message that is under way.
    LastMessage,
    /// The nodes end.
    Stop,
    /// The nodes are killed.
    Kill,
}

/// Moves on to a phase, if it is a later one.
pub(super) fn advance(phase: &watch::Sender<Phase>, to: Phase) {
    phase.send_if_modified(|now| {
        let is_later = *now < to;
        *now = (*now).max(to);
        is_later
    });
}

/// Waits for a phase or a later one.
pub(super) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // Without a director the play is over.
    let _over = phase.wait_for(|now| *now >= wanted).await;
}

/// Ends the demo when its time is over, at a signal, or when nobody reads what
/// it prints; kills it at a signal after that. Returns when the killed should
/// be gone.
pub(super) async fn direct(
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
            screen.try_say(&Label::demo(), "ending; once more ends at once");
        }
        () = time_is_over => screen.try_say(&Label::demo(), "the time is over: ending"),
        () = screen.closed() => {}
    }
    advance(phase, Phase::LastMessage);
    signals.next().await;
    advance(phase, Phase::Kill);
    tokio::time::sleep(KILLED).await;
}
