//! Sends the bodies of a batch.

use super::{Answer, Client, Request};
use crate::bodies::Body;
use crate::{Failure, Outcomes, Refusals};

impl Client {
    /// Sends a batch of so many `records` that was divided into bodies, at most
    /// `at_once` at a time, and makes the answer of the write from the
    /// destination's answers. `judge` says what an answer means; usually
    /// [`Answer::check`].
    ///
    /// # Errors
    /// As [`Outcomes::finish`].
    pub fn send_bodies(
        &self,
        records: usize,
        bodies: Vec<Body>,
        at_once: usize,
        mut request: impl FnMut(Vec<u8>) -> Request,
        mut judge: impl FnMut(Answer) -> Result<(), Failure>,
    ) -> Result<Refusals, Failure> {
        let mut outcomes = Outcomes::new(records);
        let split = |body: Body| (body.bytes, body.records);
        let (bytes, held): (Vec<_>, Vec<_>) = bodies.into_iter().map(split).unzip();
        let requests = bytes.into_iter().map(&mut request);
        let answers = self.send_all(requests, at_once);
        for (held, answer) in held.iter().zip(answers) {
            let result = answer.map_err(Failure::from).and_then(&mut judge);
            outcomes.body(held, result);
        }
        outcomes.finish()
    }
}
