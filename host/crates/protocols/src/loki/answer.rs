//! What the clients of Loki are told.
//!
//! A client that gets a 400 drops the request for good, and logs the first line
//! of the answer. Fluent Bit sends everything again that is no 2xx and no 400, so
//! a request that will never be taken is always answered with 400. Requests that
//! should come again are answered with 503 and 504, not with 429: promtail drops
//! at 429 if its `drop_rate_limited_batches` is set, and older versions of
//! rsyslog's omhttp always do. A redirect is final for promtail and winston.

use std::fmt::Write as _;

use crate::answer::{Answer, Verdict};
use crate::rejected::Rejections;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// promtail reads no more of a refusal, in bytes.
const REFUSAL_BYTES_MAX: usize = 1024;

/// The answer to a push request.
#[must_use]
pub fn push(verdict: Verdict<'_>) -> Answer {
    match verdict {
        // python-logging-loki takes any other status for an error.
        Verdict::Settled { rejections, .. } if rejections.total == 0 => Answer::new(204, "", ""),
        Verdict::Settled { total, rejections } => text(400, refusal(total, rejections)),
        Verdict::Busy(reason) => text(503, reason).retried_after_a_second(),
        Verdict::Stopping => text(503, "this node is shutting down").retried_after_a_second(),
        Verdict::Unknown(reason) => text(504, reason).retried_after_a_second(),
        Verdict::NoToken => text(401, "a token is required"),
        Verdict::WrongToken => text(401, "the token is wrong"),
        Verdict::Malformed(reason) | Verdict::Unsupported(reason) | Verdict::TooLarge(reason) => {
            text(400, reason)
        }
    }
}

/// `GET /ready`: Vector asks for it when it starts.
#[must_use]
pub fn ready() -> Answer {
    text(200, "ready\n")
}

/// `GET /loki/api/v1/labels` and `/loki/api/v1/label/{name}/values`: no labels can
/// be queried.
#[must_use]
pub fn labels() -> Answer {
    Answer::new(200, JSON, r#"{"status":"success","data":[]}"#)
}

/// `GET /loki/api/v1/status/buildinfo`: a version that has structured metadata.
#[must_use]
pub fn build_info() -> Answer {
    Answer::new(200, JSON, r#"{"version":"3.0.0"}"#)
}

fn text(status: u16, text: impl Into<Vec<u8>>) -> Answer {
    Answer::new(status, TEXT, text)
}

/// How many entries were refused, and why, in one line. Entries are counted from
/// 0, through all streams.
fn refusal(total: usize, rejections: &Rejections) -> String {
    let mut line = format!("{} of {total} entries refused", rejections.total);
    let mut separator = ": ";
    for rejection in &rejections.listed {
        let length = line.len();
        // A string takes whatever is written to it.
        _ = write!(line, "{separator}entry {}: ", rejection.index);
        line.extend(rejection.reason.chars().map(one_line));
        if line.len() > REFUSAL_BYTES_MAX {
            line.truncate(length);
            break;
        }
        separator = "; ";
    }
    line
}

fn one_line(character: char) -> char {
    if character.is_control() {
        ' '
    } else {
        character
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::rejection::Rejection;

    fn refused(reasons: &[(usize, &str)]) -> Rejections {
        let rejection = |(index, reason): &(usize, &str)| Rejection {
            index: *index,
            reason: (*reason).to_owned(),
            is_kept: false,
        };
        Rejections {
            listed: reasons.iter().map(rejection).collect(),
            total: reasons.len(),
        }
    }

    fn settled(total: usize, rejections: &Rejections) -> Answer {
        push(Verdict::Settled { total, rejections })
    }

    #[test]
    fn success_is_exactly_204_without_a_body() {
        let answer = settled(3, &Rejections::default());
        assert_eq!(
            answer,
            Answer {
                status: 204,
                ..Answer::default()
            }
        );
    }

    #[test]
    fn a_refusal_names_every_reason_in_one_line() {
        let answer = settled(5, &refused(&[(3, "no\r\ntime"), (4, "too long")]));
        let expected = "2 of 5 entries refused: entry 3: no  time; entry 4: too long";
        assert_eq!(answer, text(400, expected));
    }

    #[test]
    fn a_refusal_is_no_longer_than_what_promtail_reads() {
        let long = "é".repeat(200);
        let reasons: Vec<_> = (0..1000).map(|index| (index, &*long)).collect();
        let body = settled(2000, &refused(&reasons)).body;
        assert!(
            (600..=REFUSAL_BYTES_MAX).contains(&body.len()),
            "{}",
            body.len()
        );
        let body = String::from_utf8(body).unwrap();
        assert!(body.starts_with("1000 of 2000 entries refused: entry 0: é"));
        assert!(body.ends_with('é'), "{body}");
    }

    #[test]
    fn only_what_may_be_taken_later_is_not_a_400() {
        let retried = Some(("retry-after", "1".to_owned()));
        for (verdict, status, header) in [
            (Verdict::Busy("full"), 503, &retried),
            (Verdict::Stopping, 503, &retried),
            (Verdict::Unknown("lost"), 504, &retried),
            (Verdict::NoToken, 401, &None),
            (Verdict::WrongToken, 401, &None),
            (Verdict::Malformed("bad"), 400, &None),
            (Verdict::Unsupported("br"), 400, &None),
            (Verdict::TooLarge("big"), 400, &None),
        ] {
            let answer = push(verdict);
            assert_eq!(answer.status, status, "{verdict:?}");
            assert_eq!(answer.headers.first(), header.as_ref(), "{verdict:?}");
            assert!(answer.content_type == TEXT && !answer.body.is_empty());
        }
    }

    #[test]
    fn probes_are_answered_as_loki_does() {
        assert_eq!(ready().body, b"ready\n");
        for (answer, body) in [
            (
                labels(),
                serde_json::json!({"status": "success", "data": []}),
            ),
            (build_info(), serde_json::json!({"version": "3.0.0"})),
        ] {
            assert_eq!((answer.status, answer.content_type), (200, JSON));
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap(),
                body
            );
        }
    }
}
