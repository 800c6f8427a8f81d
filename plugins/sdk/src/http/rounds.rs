//! Sends the bodies of a batch, and again in other bodies what the answers ask for.

use std::time::Instant;

use super::{Answer, Cause, Client, Request, Verdict};
use crate::bodies::Body;
use crate::{Failure, Outcomes, Refusals};

/// The most rounds of one write. Each may take out one more record.
const MAX_ROUNDS: usize = 16;

impl Client {
    /// Sends a batch of so many `records` as
    /// [`send_bodies`](Self::send_bodies) does, to a destination whose answers say
    /// which records are at fault.
    ///
    /// `judge` gets the indices of the records that a body held, and the answer. It
    /// tells the outcomes what became of them, and returns the bodies with which
    /// those are to be sent at once that are still open. What is open after 16 rounds,
    /// when the destination asks to wait, when it takes nothing of a round, or when
    /// the [budget](Self::budget) is over, is refused for now.
    ///
    /// # Errors
    /// As [`Outcomes::finish`].
    pub fn send_in_rounds(
        &self,
        records: usize,
        bodies: Vec<Body>,
        at_once: usize,
        mut request: impl FnMut(Vec<u8>) -> Request,
        mut judge: impl FnMut(&[usize], Answer, &mut Outcomes) -> Vec<Body>,
    ) -> Result<Refusals, Failure> {
        let end = Instant::now() + self.limits.budget;
        let mut outcomes = Outcomes::new(records);
        let mut next = bodies;
        for _ in 0..MAX_ROUNDS {
            let left = end.saturating_duration_since(Instant::now());
            if next.is_empty() || left.is_zero() {
                break;
            }
            let split = |body: Body| (body.bytes, body.records);
            let (bytes, held): (Vec<_>, Vec<_>) = next.drain(..).map(split).unzip();
            let requests = bytes.into_iter().map(&mut request);
            let answers = self.clone().budget(left).send_all(requests, at_once);
            let (mut is_there, mut is_stopped) = (false, false);
            for (held, answer) in held.iter().zip(answers) {
                match answer {
                    Ok(answer) => {
                        is_there |= Verdict::of(answer.status) != Verdict::Retry;
                        is_stopped |= answer.asks_to_wait();
                        next.extend(judge(held, answer, &mut outcomes));
                    }
                    Err(error) => {
                        is_stopped |= matches!(error.cause, Cause::NotSent { .. });
                        outcomes.body::<()>(held, Err(error.into()));
                    }
                }
            }
            if is_stopped || !is_there {
                break;
            }
        }
        outcomes.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Url;
    use super::*;
    use crate::testing::{Destination, Reply};

    const ORIGIN: &str = "http://a";

    fn body(records: &[usize]) -> Body {
        let bytes = format!("{records:?}").into_bytes();
        let records = records.to_vec();
        Body { bytes, records }
    }

    /// Sends records 0 to 4 in one body, and then each record but the first alone.
    fn send(destination: &Destination) -> (Result<Refusals, Failure>, Vec<String>) {
        let url = Url::parse(ORIGIN).unwrap();
        let result = Client::new().send_in_rounds(
            5,
            vec![body(&[0, 1, 2, 3, 4])],
            1,
            |bytes| Request::post(&url).body(bytes),
            |records, answer, outcomes| {
                let (first, rest) = records.split_first().unwrap();
                outcomes.record(*first, answer.check());
                rest.iter().map(|index| body(&[*index])).collect()
            },
        );
        let requests = destination.requests();
        (result, requests.iter().map(|r| r.text()).collect())
    }

    #[test]
    fn what_is_open_is_sent_again_in_the_same_write() {
        let replies = [200, 400, 200].map(Reply::status);
        let destination = Destination::script(ORIGIN, replies);
        let (result, requests) = send(&destination);
        assert_eq!(result.unwrap().permanent_indices(), [1]);
        assert_eq!(requests, ["[0, 1, 2, 3, 4]", "[1]", "[2]", "[3]", "[4]"]);
    }

    #[test]
    fn nothing_follows_when_the_destination_is_busy() {
        for busy in [Reply::status(503), Reply::hang(), Reply::close()] {
            let destination = Destination::script(ORIGIN, [busy]);
            let (result, requests) = send(&destination);
            assert!(result.unwrap_err().is_retryable());
            assert_eq!(requests.len(), 1);
        }
        let replies = [200, 200, 503].map(Reply::status);
        let destination = Destination::script(ORIGIN, replies);
        let (result, _) = send(&destination);
        assert_eq!(result.unwrap().retryable_indices(), [2]);
    }

    #[test]
    fn a_body_that_failed_does_not_hold_up_the_others() {
        for (failed, expected) in [
            (Reply::hang(), 5),
            (Reply::status(503), 5),
            (Reply::status(503).header("retry-after", "1"), 1),
        ] {
            let destination = Destination::script(ORIGIN, [failed]);
            let url = Url::parse(ORIGIN).unwrap();
            let mut is_first_round = true;
            let result = Client::new().send_in_rounds(
                6,
                vec![body(&[0]), body(&[1]), body(&[2, 3, 4, 5])],
                1,
                |bytes| Request::post(&url).body(bytes),
                |records, answer, outcomes| match answer.check() {
                    Ok(_) if records.len() > 1 && std::mem::take(&mut is_first_round) => {
                        vec![body(&[2, 3]), body(&[4, 5])]
                    }
                    result => {
                        outcomes.body(records, result);
                        Vec::new()
                    }
                },
            );
            assert_eq!(destination.requests().len(), expected);
            match expected {
                1 => assert!(result.unwrap_err().is_retryable()),
                _ => assert_eq!(result.unwrap().retryable_indices(), [0]),
            }
        }
    }

    #[test]
    fn rounds_come_to_an_end() {
        let destination = Destination::script(ORIGIN, []);
        let url = Url::parse(ORIGIN).unwrap();
        let result = Client::new().send_in_rounds(
            1,
            vec![body(&[0])],
            1,
            |bytes| Request::post(&url).body(bytes),
            |records, _, _| vec![body(records)],
        );
        assert!(result.unwrap_err().is_retryable());
        assert_eq!(destination.requests().len(), MAX_ROUNDS);
    }
}
