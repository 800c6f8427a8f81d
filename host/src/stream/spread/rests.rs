//! Which streams stay where they are for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long a stream stays where it was handed over to.
const REST: Duration = Duration::from_secs(60);

/// The streams that were handed over a short while ago, to this node or by it.
#[derive(Debug, Default)]
pub(super) struct Rests(BTreeMap<String, Instant>);

impl Rests {
    /// A stream was handed over now.
    pub(super) fn begin(&mut self, stream: &str) {
        self.0.insert(stream.to_owned(), Instant::now());
    }

    /// Whether a stream should stay where it is.
    pub(super) fn has(&self, stream: &str) -> bool {
        let began = self.0.get(stream);
        began.is_some_and(|began| began.elapsed() < REST)
    }

    /// Ends the rests that are over, and those of streams that may not rest.
    pub(super) fn retain(&mut self, may_rest: impl Fn(&str) -> bool) {
        self.0
            .retain(|stream, began| began.elapsed() < REST && may_rest(stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_handed_over_once_a_minute_at_most() {
        let mut rests = Rests::default();
        assert!(!rests.has("a"));
        rests.begin("a");
        advance(Duration::from_secs(59)).await;
        rests.retain(|_| true);
        assert!(rests.has("a"));
        assert!(!rests.has("b"));
        advance(Duration::from_secs(2)).await;
        assert!(!rests.has("a"));
        // A new pin ends it.
        rests.begin("a");
        rests.retain(|stream| stream != "a");
        assert!(!rests.has("a"));
    }
}
