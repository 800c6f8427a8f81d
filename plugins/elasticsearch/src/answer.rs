//! What the bulk API says about each record.

use serde::Deserialize;
use sluice_sink::http::Verdict;
use sluice_sink::{Failure, Outcomes};

/// There is a document of this `_id` already: the record arrived before.
const CONFLICT: u16 = 409;
/// `400`s that are no fault of the record and can be mended while it waits: too many
/// shards, a wrong name of the index, a closed index.
const MENDABLE: [&str; 4] = [
    "validation_exception",
    "invalid_index_name_exception",
    "invalid_alias_name_exception",
    "index_closed_exception",
];

/// The fields of the answer that are looked at.
pub(crate) const FILTER: &str = "filter_path=errors,items.*.status,items.*.error.type,\
                                 items.*.error.reason,items.*.error.caused_by.reason";

/// The answer to a bulk request.
#[derive(Debug, Deserialize)]
pub(crate) struct Bulk {
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    create: Created,
}

#[derive(Debug, Deserialize)]
struct Created {
    status: u16,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
    caused_by: Option<Cause>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

impl Bulk {
    /// Notes what became of the records that a body held. One for which there is no
    /// item counts as not taken.
    pub(crate) fn settle(&self, held: &[usize], outcomes: &mut Outcomes) {
        for (index, item) in held.iter().zip(&self.items) {
            match item.create.verdict() {
                Verdict::Taken => outcomes.taken(*index),
                Verdict::Retry => {
                    outcomes.record::<()>(*index, Err(item.create.failure(Failure::retryable)))
                }
                Verdict::Refuse => {
                    outcomes.record::<()>(*index, Err(item.create.failure(Failure::permanent)))
                }
            }
        }
    }
}

impl Created {
    fn verdict(&self) -> Verdict {
        let kind = self.error.as_ref().map(|problem| problem.kind.as_str());
        match self.status {
            CONFLICT => Verdict::Taken,
            400 if kind.is_some_and(|kind| MENDABLE.contains(&kind)) => Verdict::Retry,
            status => Verdict::of(status),
        }
    }

    fn failure(&self, make: impl FnOnce(String) -> Failure) -> Failure {
        let mut reason = format!("Elasticsearch answered {}", self.status);
        if let Some(problem) = &self.error {
            let cause = problem
                .caused_by
                .as_ref()
                .map(|cause| cause.reason.as_str());
            let parts = [
                Some(problem.kind.as_str()),
                Some(problem.reason.as_str()),
                cause,
            ];
            for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
                reason.push_str(": ");
                reason.extend(part.chars().take(SHOWN));
            }
        }
        make(reason)
    }
}

/// How much of each part of a reason is passed on, in characters.
const SHOWN: usize = 200;
