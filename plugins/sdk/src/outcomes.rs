//! What a destination said about parts of a batch, as the answer of a write.

use std::time::Duration;

use crate::{Failure, Refusals};

/// Collects what became of the records of a batch, and makes the answer of
/// [`Sink::write`](crate::Sink::write) from it.
///
/// A record for which nothing was said counts as not taken, for now: so nothing
/// is acknowledged by mistake.
///
/// ```
/// # use sluice_sink::http::{Client, Request, Url};
/// # use sluice_sink::{Batch, Failure, Outcomes, Refusals, bodies::Bodies};
/// # fn write(batch: &Batch, client: &Client, url: &Url) -> Result<Refusals, Failure> {
/// let mut outcomes = Outcomes::new(batch.len());
/// for body in Bodies::of_lines(batch.json_lines(), 1 << 20, 1000) {
///     let answer = client.send(Request::post(url).body(body.bytes));
///     outcomes.body(&body.records, answer.map_err(Failure::from).and_then(|a| a.check()));
/// }
/// outcomes.finish()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Outcomes {
    records: Vec<Outcome>,
    /// What the records' outcomes refer to.
    failures: Vec<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Unknown,
    Taken,
    /// The record itself was judged, or its body held nothing else.
    Alone(usize),
    /// Its body failed, which held other records, too.
    WithOthers(usize),
}

impl Outcomes {
    /// For a batch of so many records.
    #[must_use]
    pub fn new(records: usize) -> Self {
        Self {
            records: vec![Outcome::Unknown; records],
            failures: Vec::new(),
        }
    }

    /// These records were sent together, and this came of it. If they were not
    /// taken, any of them may be at fault.
    pub fn body<T>(&mut self, records: &[usize], result: Result<T, Failure>) {
        let outcome = match result {
            Ok(_) => Outcome::Taken,
            Err(failure) if records.len() == 1 => Outcome::Alone(self.keep(failure)),
            Err(failure) => Outcome::WithOthers(self.keep(failure)),
        };
        for index in records {
            self.set(*index, outcome);
        }
    }

    /// The destination said this about a single record.
    pub fn record<T>(&mut self, index: usize, result: Result<T, Failure>) {
        let outcome = match result {
            Ok(_) => Outcome::Taken,
            Err(failure) => Outcome::Alone(self.keep(failure)),
        };
        self.set(index, outcome);
    }

    /// The record is done with: it was taken, or is not wanted.
    pub fn taken(&mut self, index: usize) {
        self.set(index, Outcome::Taken);
    }

    /// The answer of the write:
    ///
    /// - Some records were taken, or judged alone: refusals. Those of a body that
    ///   was refused for good with others are refused *for now*: the host then
    ///   offers them again without the ones that were taken, until only refused
    ///   ones are left.
    /// - No record was, and a later attempt may succeed: an error, so that the
    ///   host backs off.
    /// - All were refused for good together: an error, upon which the host offers
    ///   them in parts to find out which records are meant.
    ///
    /// # Errors
    /// As above, and a failure that is [`Failure::Fenced`].
    pub fn finish(self) -> Result<Refusals, Failure> {
        let is_fenced = |failure: &&Failure| matches!(failure, Failure::Fenced(_));
        if let Some(fenced) = self.failures.iter().find(is_fenced) {
            return Err(fenced.clone());
        }
        let is_settled = |outcome: &Outcome| match outcome {
            Outcome::Taken => true,
            Outcome::Alone(failure) => !self.failure(*failure).is_retryable(),
            Outcome::WithOthers(_) | Outcome::Unknown => false,
        };
        if self.records.is_empty() || self.records.iter().any(is_settled) {
            return Ok(self.refusals());
        }
        Err(self.whole())
    }

    /// The failure of a batch of which nothing is settled.
    fn whole(self) -> Failure {
        let has_unknown = self.records.contains(&Outcome::Unknown);
        let retryable = self.failures.iter().find(|f| f.is_retryable());
        let failure = retryable.or(self.failures.first()).cloned();
        match failure {
            Some(Failure::Retryable(retry)) => Failure::retry(retry.reason, self.longest_wait()),
            Some(failure) if !has_unknown => failure,
            _ => unanswered(),
        }
    }

    fn refusals(self) -> Refusals {
        let mut refusals = Refusals::none();
        for (index, outcome) in self.records.iter().enumerate() {
            match outcome {
                Outcome::Taken => {}
                Outcome::Unknown => refusals.push(index, unanswered()),
                Outcome::Alone(failure) => refusals.push(index, self.failure(*failure)),
                Outcome::WithOthers(failure) => {
                    let failure = match self.failure(*failure) {
                        Failure::Permanent(reason) => Failure::retryable(format!(
                            "{reason}; offered again to find out which record is meant"
                        )),
                        other => other,
                    };
                    refusals.push(index, failure);
                }
            }
        }
        refusals
    }

    /// The longest time that a failure asks to wait.
    fn longest_wait(&self) -> Option<Duration> {
        let waits = self.failures.iter().filter_map(|failure| match failure {
            Failure::Retryable(retry) => retry.after_ms,
            _ => None,
        });
        waits.max().map(Duration::from_millis)
    }

    fn keep(&mut self, failure: Failure) -> usize {
        self.failures.push(failure);
        self.failures.len() - 1
    }

    fn failure(&self, number: usize) -> Failure {
        let kept = self.failures.get(number).cloned();
        kept.unwrap_or_else(unanswered)
    }

    fn set(&mut self, index: usize, outcome: Outcome) {
        if let Some(record) = self.records.get_mut(index) {
            *record = outcome;
        }
    }
}

fn unanswered() -> Failure {
    Failure::retryable("nothing was said about this record")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Result<(), Failure> = Ok(());

    fn later() -> Result<(), Failure> {
        Err(Failure::retryable("busy"))
    }

    fn never() -> Result<(), Failure> {
        Err(Failure::permanent("bad"))
    }

    fn of(bodies: &[(&[usize], Result<(), Failure>)]) -> Result<Refusals, Failure> {
        let count = bodies.iter().map(|(records, _)| records.len()).sum();
        let mut outcomes = Outcomes::new(count);
        for (records, result) in bodies {
            outcomes.body(records, result.clone());
        }
        outcomes.finish()
    }

    #[test]
    fn one_body_that_failed_for_now_is_refused_for_now() {
        let refusals = of(&[(&[0, 3], OK), (&[1, 2], later())]).unwrap();
        assert_eq!(refusals.retryable_indices(), [1, 2]);
        assert!(refusals.permanent_indices().is_empty());
        assert_eq!(refusals.iter().next().unwrap().1.reason(), "busy");
        assert_eq!(of(&[(&[0, 1], OK)]), Ok(Refusals::none()));
    }

    #[test]
    fn a_batch_of_which_nothing_was_taken_is_an_error() {
        assert_eq!(of(&[(&[0, 1], later())]), Err(Failure::retryable("busy")));
        assert_eq!(of(&[(&[0, 1], never())]), Err(Failure::permanent("bad")));
        let both = of(&[(&[0, 1], never()), (&[2, 3], later())]);
        assert_eq!(both, Err(Failure::retryable("busy")));
        let waits = [3, 9, 5].map(|seconds| {
            let after = Duration::from_secs(seconds);
            Err(Failure::retry_after("later", after))
        });
        let [a, b, c] = waits;
        let all = of(&[(&[0], a), (&[1], b), (&[2], c)]);
        let longest = Failure::retry_after("later", Duration::from_secs(9));
        assert_eq!(all, Err(longest));
    }

    #[test]
    fn records_that_were_refused_for_good_with_others_are_offered_again() {
        let refusals = of(&[(&[0], OK), (&[1, 2], never())]).unwrap();
        assert_eq!(refusals.retryable_indices(), [1, 2]);
        let alone = of(&[(&[0], OK), (&[1], never())]).unwrap();
        assert_eq!(alone.permanent_indices(), [1]);
    }

    #[test]
    fn a_single_record_is_judged_by_itself() {
        let mut outcomes = Outcomes::new(4);
        outcomes.record(0, OK);
        outcomes.record(1, never());
        outcomes.record(2, later());
        outcomes.taken(3);
        let refusals = outcomes.finish().unwrap();
        assert_eq!(refusals.permanent_indices(), [1]);
        assert_eq!(refusals.retryable_indices(), [2]);
    }

    #[test]
    fn what_is_not_mentioned_is_not_acknowledged() {
        let mut outcomes = Outcomes::new(3);
        outcomes.taken(1);
        outcomes.taken(99);
        let refusals = outcomes.finish().unwrap();
        assert_eq!(refusals.retryable_indices(), [0, 2]);
        let none = Outcomes::new(2).finish().unwrap_err();
        assert!(none.is_retryable());
        assert_eq!(Outcomes::new(0).finish(), Ok(Refusals::none()));
        let mut part = Outcomes::new(3);
        part.body(&[0, 1], never());
        assert!(part.finish().unwrap_err().is_retryable());
    }

    #[test]
    fn fenced_stops_all() {
        let fenced: Result<(), _> = Err(Failure::fenced("epoch 9"));
        let result = of(&[(&[0], OK), (&[1], fenced)]);
        assert_eq!(result, Err(Failure::fenced("epoch 9")));
    }
}
