//! The requests of one call: which comes next, and what came of each.

use std::time::{Duration, Instant};

use super::error::Cause;
use super::{Answer, Error, Request};

/// The requests of a `send_all`.
pub(super) struct Run<'a> {
    requests: &'a mut dyn Iterator<Item = Request>,
    results: Vec<Option<Result<Answer, Error>>>,
    /// When nothing may be under way any more.
    pub(super) end: Instant,
    /// Why the rest is not sent.
    stopped: Option<Cause>,
}

impl<'a> Run<'a> {
    pub(super) fn new(requests: &'a mut dyn Iterator<Item = Request>, budget: Duration) -> Self {
        Self {
            requests,
            results: Vec::new(),
            end: Instant::now() + budget,
            stopped: None,
        }
    }

    /// The next request that is to be sent, and its place. Those that cannot be
    /// sent are settled.
    pub(super) fn next(&mut self) -> Option<(usize, Request)> {
        while self.stopped.is_none() {
            if Instant::now() >= self.end {
                self.stop(
                    "the time for the requests of one write was over".to_owned(),
                    None,
                );
                return None;
            }
            let request = self.requests.next()?;
            let place = self.results.len();
            self.results.push(None);
            match request.check() {
                Ok(()) => return Some((place, request)),
                Err(wrong) => {
                    let cause = Cause::Invalid(wrong);
                    let target = request.target();
                    self.settle(place, Err(Error { target, cause }));
                }
            }
        }
        None
    }

    /// Notes what came of the request at this place.
    pub(super) fn settle(&mut self, place: usize, result: Result<Answer, Error>) {
        if let Ok(answer) = &result
            && answer.asks_to_wait()
        {
            self.stop(answer.describe(), answer.retry_after());
        }
        if let Some(slot) = self.results.get_mut(place) {
            *slot = Some(result);
        }
    }

    /// The results in the order of the requests.
    pub(super) fn finish(self) -> Vec<Result<Answer, Error>> {
        let reason = "there was no time left".to_owned();
        let cause = self.stopped.unwrap_or(Cause::NotSent {
            reason,
            after: None,
        });
        let not_sent = |target| {
            let cause = cause.clone();
            Err(Error { target, cause })
        };
        let sent = self.results.into_iter();
        let sent = sent.map(|result| result.unwrap_or_else(|| not_sent(String::new())));
        sent.chain(self.requests.map(|request| not_sent(request.target())))
            .collect()
    }

    fn stop(&mut self, reason: String, after: Option<Duration>) {
        self.stopped = Some(Cause::NotSent { reason, after });
    }
}
