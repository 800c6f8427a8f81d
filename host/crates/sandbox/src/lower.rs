//! Converts records to the types of the bindings without copying text, and a
//! sink's answers back.

use std::time::Duration;

use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::readable;
use sluice_types::record::{LogRecord, Severity, Value};
use sluice_types::retry_after::RetryAfter;

use super::bindings::{v0_1 as wit, v0_2};

/// All attributes of a batch, record by record.
pub(super) fn attributes(batch: &[LogRecord]) -> Vec<(&str, wit::Value<'_>)> {
    let all = batch.iter().flat_map(|record| &record.attributes);
    all.map(|(name, value)| (&**name, self::value(value)))
        .collect()
}

/// The records of a batch. `attributes` is what [`attributes`] returned for it.
pub(super) fn records<'a>(
    batch: &'a [LogRecord],
    attributes: &'a [(&'a str, wit::Value<'a>)],
) -> Vec<wit::LogRecord<'a>> {
    let mut rest = attributes;
    let views = batch.iter().map(|record| {
        let own = rest
            .split_off(..record.attributes.len())
            .unwrap_or_default();
        wit::LogRecord {
            id: wit::RecordId {
                epoch: record.id.epoch,
                sequence: record.id.sequence,
            },
            key: record.key.as_deref(),
            timestamp: record.timestamp,
            observed: record.observed,
            severity: severity(record.severity),
            body: &record.body,
            attributes: own,
        }
    });
    views.collect()
}

pub(super) fn value(value: &Value) -> wit::Value<'_> {
    match value {
        Value::Text(text) => wit::Value::Text(text),
        Value::Integer(integer) => wit::Value::Integer(*integer),
        Value::Float(float) => wit::Value::Float(*float),
        Value::Boolean(boolean) => wit::Value::Boolean(*boolean),
        Value::Bytes(bytes) => wit::Value::Bytes(bytes),
        Value::Json(json) => wit::Value::Json(json),
    }
}

pub(super) const fn severity(severity: Severity) -> wit::Severity {
    match severity {
        Severity::Unspecified => wit::Severity::Unspecified,
        Severity::Trace => wit::Severity::Trace,
        Severity::Debug => wit::Severity::Debug,
        Severity::Info => wit::Severity::Info,
        Severity::Warn => wit::Severity::Warn,
        Severity::Error => wit::Severity::Error,
        Severity::Fatal => wit::Severity::Fatal,
    }
}

impl From<v0_2::Failure> for wit::Failure {
    fn from(failure: v0_2::Failure) -> Self {
        match failure {
            v0_2::Failure::Retryable(retry) => Self::Retryable(wit::Retry {
                reason: retry.reason,
                after_ms: retry.after_ms,
            }),
            v0_2::Failure::Permanent(reason) => Self::Permanent(reason),
            v0_2::Failure::Fenced(reason) => Self::Fenced(reason),
        }
    }
}

impl From<v0_2::Refusal> for wit::Refusal {
    fn from(refusal: v0_2::Refusal) -> Self {
        Self {
            index: refusal.index,
            failure: refusal.failure.into(),
        }
    }
}

/// The records that a sink says it refused, not yet checked.
pub(super) struct Refused(Vec<wit::Refusal>);

impl<R: Into<wit::Refusal>> From<Vec<R>> for Refused {
    fn from(refused: Vec<R>) -> Self {
        Self(refused.into_iter().map(Into::into).collect())
    }
}

/// The guest's reason ends up in logs, terminals and Consul.
pub(super) fn failure(failure: impl Into<wit::Failure>) -> Failure {
    match failure.into() {
        wit::Failure::Retryable(retry) => Failure::Retryable {
            reason: readable::error(&retry.reason),
            after: retry
                .after_ms
                .map(|asked| RetryAfter::at_most(Duration::from_millis(asked))),
        },
        wit::Failure::Permanent(reason) => Failure::Permanent(readable::error(&reason)),
        wit::Failure::Fenced(reason) => Failure::Fenced(readable::error(&reason)),
    }
}

/// The refusals of a batch of `len` records, sorted by index.
///
/// # Errors
/// An index is out of range or occurs twice, which breaks the contract.
pub(super) fn refusals(answer: Refused, len: usize) -> Result<Vec<Refusal>, WriteError> {
    let mut refusals: Vec<Refusal> = answer
        .0
        .into_iter()
        .map(|refusal| Refusal {
            index: usize::try_from(refusal.index).unwrap_or(usize::MAX),
            failure: failure(refusal.failure),
        })
        .collect();
    refusals.sort_by_key(|refusal| refusal.index);
    let twice = refusals.windows(2).find_map(|pair| match pair {
        [one, other] if one.index == other.index => Some(one.index),
        _ => None,
    });
    if let Some(index) = twice {
        let what = format!("record {index} of the batch is refused twice");
        return Err(Broken::Contract(what).into());
    }
    match refusals.last() {
        Some(last) if last.index >= len => {
            let what = format!("record {} is refused, of a batch of {len}", last.index);
            Err(Broken::Contract(what).into())
        }
        _ => Ok(refusals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::record::Text;

    fn refusal(index: u32) -> wit::Refusal {
        wit::Refusal {
            index,
            failure: wit::Failure::Permanent("no".to_owned()),
        }
    }

    #[test]
    fn no_sink_is_left_alone_for_longer_than_the_bound() {
        for (asked, given) in [(20, Duration::from_millis(20)), (u64::MAX, RetryAfter::MAX)] {
            let retry = wit::Failure::Retryable(wit::Retry {
                reason: String::new(),
                after_ms: Some(asked),
            });
            let Failure::Retryable { after, .. } = failure(retry) else {
                panic!("it is no longer retryable");
            };
            assert_eq!(after.map(Duration::from), Some(given));
        }
    }

    #[test]
    fn a_reason_is_short_and_plain() {
        let hostile = "\u{1b}[2J".repeat(100_000);
        let Failure::Permanent(reason) = failure(wit::Failure::Permanent(hostile)) else {
            panic!("another failure");
        };
        assert!(reason.starts_with(r"\u{1b}[2J"), "{reason}");
        assert!(reason.chars().count() <= readable::MAX_ERROR);
    }

    #[test]
    fn refusals_are_sorted() {
        let sorted = refusals(vec![refusal(2), refusal(0)].into(), 3).unwrap();
        assert_eq!(sorted.iter().map(|r| r.index).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn an_index_out_of_range_or_twice_fails_the_write() {
        assert!(refusals(vec![refusal(3)].into(), 3).is_err());
        assert!(refusals(vec![refusal(1), refusal(0), refusal(1)].into(), 3).is_err());
    }

    #[test]
    fn each_record_gets_its_own_attributes() {
        let with = |names: &[&'static str]| LogRecord {
            attributes: names
                .iter()
                .map(|n| (Text::from_static(n), Value::Integer(1)))
                .collect(),
            ..LogRecord::default()
        };
        let batch = [with(&["a", "b"]), with(&[]), with(&["c"])];
        let attributes = attributes(&batch);
        let views = records(&batch, &attributes);
        let names: Vec<Vec<&str>> = views
            .iter()
            .map(|v| v.attributes.iter().map(|(name, _)| *name).collect())
            .collect();
        assert_eq!(names, [vec!["a", "b"], vec![], vec!["c"]]);
    }
}
