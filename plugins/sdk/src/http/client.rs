//! Sends requests.

use std::time::Duration;

use super::limits::Limits;
use super::run::Run;
use super::{Answer, Error, Request};

#[cfg(not(target_family = "wasm"))]
use super::fake as transport;
#[cfg(target_family = "wasm")]
use super::wasi as transport;

/// The most requests that a sink may have under way.
pub const MOST_AT_ONCE: usize = 16;

/// A node ends a write after 10 s by default (`limits.write_timeout_ms`). What is
/// not settled by then is offered again as a whole, so stop earlier.
const BUDGET: Duration = Duration::from_secs(8);
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 64 << 10;

/// Sends requests and waits for their answers, each for a bounded time. Redirects
/// are answers like others.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) limits: Limits,
}

impl Client {
    /// A client with the default bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: Limits {
                timeout: TIMEOUT,
                budget: BUDGET,
                max_answer: MAX_ANSWER,
            },
        }
    }

    /// How long a request may take until its answer is complete: 5 s by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How long all requests of a [`send_all`](Self::send_all) together may take:
    /// 8 s by default. Keep it below the manifest's `limits.write_timeout_ms`.
    #[must_use]
    pub const fn budget(mut self, budget: Duration) -> Self {
        self.limits.budget = budget;
        self
    }

    /// How many bytes of an answer's body are read: 64 KiB by default. A longer one
    /// is cut off, and costs the connection.
    #[must_use]
    pub const fn max_answer(mut self, bytes: usize) -> Self {
        self.limits.max_answer = bytes;
        self
    }

    /// Sends a request, and waits for the answer, whatever its status is: see
    /// [`Answer::check`].
    ///
    /// # Errors
    /// There was no answer.
    pub fn send(&self, request: Request) -> Result<Answer, Error> {
        let target = request.target();
        let answers = self.send_all([request], 1);
        answers.into_iter().next().unwrap_or_else(|| {
            let cause = super::Cause::Invalid("there is no request".to_owned());
            Err(Error { target, cause })
        })
    }

    /// Sends all requests, at most `at_once` of them (and
    /// [`MOST_AT_ONCE`]) at a time, and returns the answers in the order of the
    /// requests. The iterator is asked for the next request when it can be sent.
    ///
    /// If the destination answers `429`, or with a `retry-after`, nothing more is
    /// sent: the rest fails with [`Cause::NotSent`](super::Cause::NotSent). The
    /// same happens when the [budget](Self::budget) is over.
    pub fn send_all(
        &self,
        requests: impl IntoIterator<Item = Request>,
        at_once: usize,
    ) -> Vec<Result<Answer, Error>> {
        let mut requests = requests.into_iter();
        let mut run = Run::new(&mut requests, self.limits.budget);
        transport::exchange(&self.limits, &mut run, at_once.clamp(1, MOST_AT_ONCE));
        run.finish()
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
