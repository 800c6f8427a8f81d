//! What a sink did, as its judge sees it.

use std::time::Duration;

use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};

/// What a sink did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It accepted or refused records, in one call.
    Wrote {
        /// How many it was offered in this call.
        offered: usize,
        /// How many of them it answered for: those that it asks to be offered again
        /// are not among them.
        records: usize,
        /// How many of those it refused for good.
        refused: usize,
        took: Duration,
    },
    /// It took nothing, and asks to try again.
    AsksAgain(String),
    /// Its output hung for the whole time of a call.
    Hung(String),
    /// It broke, by its own fault.
    Broke(String),
    /// Nothing that says whether it works.
    Nothing,
}

impl Observed {
    /// What a call with this many records shows.
    pub(crate) fn of(
        written: &Result<Vec<Refusal>, WriteError>,
        records: usize,
        took: Duration,
    ) -> Self {
        match written {
            Ok(refusals) => Self::answer(refusals, records, took),
            Err(WriteError::Failed(failure)) => match failure {
                // A larger batch is taken apart to find the records that are meant.
                Failure::Permanent(_) if records == 1 => Self::Wrote {
                    offered: records,
                    records,
                    refused: 1,
                    took,
                },
                failure => Self::failure(failure),
            },
            Err(WriteError::Broken(broken)) => Self::broken(broken),
        }
    }

    /// The size and the time of a write that says how fast the sink is: it took at
    /// least half of the records. The others cost no time at the destination.
    pub(super) fn timed(&self) -> Option<(usize, Duration)> {
        match self {
            Self::Wrote {
                offered,
                records,
                refused,
                took,
            } if records.saturating_sub(*refused) * 2 >= *offered => Some((*offered, *took)),
            _ => None,
        }
    }

    /// What a failure shows that says nothing about single records.
    pub(crate) fn failure(failure: &Failure) -> Self {
        match failure {
            Failure::Retryable { reason, .. } => Self::AsksAgain(reason.clone()),
            Failure::Permanent(_) | Failure::Fenced(_) => Self::Nothing,
        }
    }

    fn broken(broken: &Broken) -> Self {
        match broken {
            Broken::Stuck(_) => Self::Hung(broken.to_string()),
            _ => Self::Broke(broken.to_string()),
        }
    }

    fn answer(refusals: &[Refusal], records: usize, took: Duration) -> Self {
        let is_for_good = |refusal: &&Refusal| matches!(refusal.failure, Failure::Permanent(_));
        let refused = refusals.iter().filter(is_for_good).count();
        // Those that are to be offered again count when they are.
        let settled = records.saturating_sub(refusals.len() - refused);
        match (settled, refusals.first()) {
            (0, Some(refusal)) => Self::failure(&refusal.failure),
            _ => Self::Wrote {
                offered: records,
                records: settled,
                refused,
                took,
            },
        }
    }
}
