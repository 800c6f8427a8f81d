//! The verdict on the sink that runs, if it is watched.

use tokio::sync::oneshot;

use crate::plugin::WatchFor;
use sluice_delivery::{Verdict, Watch};

/// Waits for the verdict on the sink that runs.
#[derive(Debug)]
pub(super) struct Watched(Option<oneshot::Receiver<Verdict>>);

impl Watched {
    /// Both halves of a watch. `has_failed` if the sink did not open at first.
    pub(super) fn begin(watch: WatchFor, has_failed: bool) -> (Watch, Self) {
        let (verdict, given) = oneshot::channel();
        match watch {
            WatchFor::Nothing | WatchFor::LastResort => (Watch::Nothing, Self(None)),
            WatchFor::Probation(terms) => (Watch::Probation { terms, verdict }, Self(Some(given))),
            WatchFor::SecondOpinion => {
                let watch = Watch::SecondOpinion {
                    verdict,
                    has_failed,
                };
                (watch, Self(Some(given)))
            }
        }
    }

    /// The verdict, once it is given. Never ends if none will be. Can be
    /// cancelled.
    pub(super) async fn verdict(&mut self) -> Verdict {
        let verdict = match &mut self.0 {
            Some(given) => given.await.ok(),
            None => None,
        };
        self.0 = None;
        match verdict {
            Some(verdict) => verdict,
            None => std::future::pending().await,
        }
    }
}
