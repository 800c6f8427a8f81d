//! Answers in AWS JSON 1.1.

use serde::Serialize;

use super::CONTENT_TYPE;
use crate::answer::{Answer, Verdict};
use crate::rejected::Rejections;

/// Old clients send it back with the next events; it means nothing.
pub(super) const SEQUENCE_TOKEN: &str = "1";
/// Of how many rejections the reasons are told.
const TOLD_MAX: usize = 20;
/// What every SDK tries again, at a status that none takes for final.
const UNAVAILABLE: &str = "ServiceUnavailableException";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    next_sequence_token: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log_events_info: Option<Ranges>,
    /// Not of CloudWatch: SDKs ignore it, and people who look find the reasons.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [Rejected<'a>],
}

#[derive(Serialize)]
struct Rejected<'a> {
    index: usize,
    reason: &'a str,
}

/// Which events were rejected, as far as CloudWatch's answer can say that.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ranges {
    /// Every event before this index is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_old_log_event_end_index: Option<usize>,
    /// Every event from this index on is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_new_log_event_start_index: Option<usize>,
}

#[derive(Serialize)]
struct Error<'a> {
    #[serde(rename = "__type")]
    kind: &'a str,
    message: &'a str,
}

/// The answer to `PutLogEvents`.
///
/// No rejection makes it a failure: the SDKs would drop or send again all events
/// of the request. While it is busy, the SDKs try three times or so, some hundred
/// milliseconds apart and as late as `Retry-After` says; then Docker's driver drops
/// the events.
#[must_use]
pub fn put_log_events(verdict: &Verdict<'_>) -> Answer {
    match verdict {
        Verdict::Settled { total, rejections } => settled(*total, rejections),
        Verdict::Busy(reason) | Verdict::Unknown(reason) => {
            error(503, UNAVAILABLE, reason).retried_after_a_second()
        }
        Verdict::Stopping => {
            error(503, UNAVAILABLE, "this node is stopping").retried_after_a_second()
        }
        Verdict::NoToken => error(
            400,
            "MissingAuthenticationTokenException",
            "a token is required",
        ),
        Verdict::WrongToken => error(400, "UnrecognizedClientException", "the token is wrong"),
        Verdict::Malformed(reason) | Verdict::Unsupported(reason) => {
            error(400, "SerializationException", reason)
        }
        Verdict::TooLarge(reason) => error(413, "InvalidParameterException", reason),
    }
}

/// The answer to a client that sends more than it may. The SDKs try again later,
/// as they do when it is busy.
#[must_use]
pub fn throttled(reason: &str) -> Answer {
    error(400, "ThrottlingException", reason).retried_after_a_second()
}

/// Success, with this document.
pub(super) fn success(document: &impl Serialize) -> Answer {
    // A struct of texts and numbers has a JSON form.
    let body = serde_json::to_vec(document).unwrap_or_default();
    Answer::new(200, CONTENT_TYPE, body)
}

pub(super) fn error(status: u16, kind: &str, message: &str) -> Answer {
    Answer {
        status,
        ..success(&Error { kind, message })
    }
}

fn settled(total: usize, rejections: &Rejections) -> Answer {
    let told = rejections.listed.iter().take(TOLD_MAX);
    let told = told.map(|rejection| Rejected {
        index: rejection.index,
        reason: &rejection.reason,
    });
    success(&Accepted {
        next_sequence_token: SEQUENCE_TOKEN,
        rejected_log_events_info: ranges(total, rejections),
        rejected: &told.collect::<Vec<_>>(),
    })
}

/// The rejected events at the begin and at the end of the request. Others cannot
/// be expressed: a range never has an event that was taken.
fn ranges(total: usize, rejections: &Rejections) -> Option<Ranges> {
    let indexes = || rejections.listed.iter().map(|rejection| rejection.index);
    let first = indexes().zip(0..).take_while(|(index, at)| index == at);
    let first = first.count();
    let is_complete = rejections.listed.len() == rejections.total;
    let last = indexes().rev().zip((0..total).rev());
    let last = match is_complete && first < total {
        true => last.take_while(|(index, at)| index == at).count(),
        false => 0,
    };
    (first + last > 0).then(|| Ranges {
        too_old_log_event_end_index: (first > 0).then_some(first),
        too_new_log_event_start_index: (last > 0).then(|| total - last),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected;

    fn rejections(places: impl IntoIterator<Item = usize>) -> Rejections {
        let mut rejected = rejected::Rejected::default();
        for place in places {
            rejected.push(place, "a \"reason\"");
        }
        rejected.merge(Vec::new())
    }

    fn text(answer: Answer) -> (u16, String) {
        assert_eq!(answer.content_type, "application/x-amz-json-1.1");
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    fn put(total: usize, places: &[usize]) -> String {
        let rejections = rejections(places.iter().copied());
        let settled = Verdict::Settled {
            total,
            rejections: &rejections,
        };
        let (status, body) = text(put_log_events(&settled));
        assert_eq!(status, 200);
        body
    }

    #[test]
    fn events_that_were_taken_are_answered_as_cloudwatch_does() {
        assert_eq!(put(3, &[]), r#"{"nextSequenceToken":"1"}"#);
    }

    #[test]
    fn ranges_have_only_rejected_events() {
        let ranges = |old, new| {
            Some(Ranges {
                too_old_log_event_end_index: old,
                too_new_log_event_start_index: new,
            })
        };
        for (total, places, expected) in [
            (5, &[0, 1][..], ranges(Some(2), None)),
            (5, &[4], ranges(None, Some(4))),
            (5, &[0, 3, 4], ranges(Some(1), Some(3))),
            (5, &[0, 2, 4], ranges(Some(1), Some(4))),
            (3, &[0, 1, 2], ranges(Some(3), None)),
            (5, &[1, 3], None),
            (5, &[], None),
        ] {
            let rejections = rejections(places.iter().copied());
            assert_eq!(super::ranges(total, &rejections), expected, "{places:?}");
        }
        // Of so many, not all are listed.
        let even = rejections((0..5000).map(|n| 2 * n));
        assert_eq!(super::ranges(9999, &even), ranges(Some(1), None));
        let all = rejections(0..5000);
        assert_eq!(super::ranges(5000, &all), ranges(Some(1000), None));
    }

    #[test]
    fn the_reasons_are_there_for_those_who_look() {
        let expected = r#"{"nextSequenceToken":"1","rejectedLogEventsInfo":{"tooNewLogEventStartIndex":2},"rejected":[{"index":2,"reason":"a \"reason\""}]}"#;
        assert_eq!(put(3, &[2]), expected);
        let many: Vec<_> = (0..1000).collect();
        assert_eq!(put(1000, &many).matches("reason\\\"").count(), TOLD_MAX);
    }

    #[test]
    fn a_failure_has_the_type_that_sdks_look_for() {
        for (verdict, expected) in [
            (Verdict::Busy("full"), "ServiceUnavailableException"),
            (Verdict::Unknown("who knows"), "ServiceUnavailableException"),
            (Verdict::Stopping, "ServiceUnavailableException"),
            (Verdict::NoToken, "MissingAuthenticationTokenException"),
            (Verdict::WrongToken, "UnrecognizedClientException"),
            (Verdict::Malformed("no"), "SerializationException"),
            (Verdict::Unsupported("no"), "SerializationException"),
            (Verdict::TooLarge("no"), "InvalidParameterException"),
        ] {
            let answer = put_log_events(&verdict);
            let is_retried = expected == UNAVAILABLE;
            assert_eq!(answer.headers.is_empty(), !is_retried);
            let (status, body) = text(answer);
            assert_eq!(status == 503, is_retried);
            assert!(
                body.starts_with(&format!(r#"{{"__type":"{expected}","message":"#)),
                "{body}"
            );
        }
        let expected = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
        assert_eq!(text(throttled("Rate exceeded")), (400, expected.to_owned()));
    }
}
