//! What the clients of Datadog are told.
//!
//! The agent drops a request at 400, 401, 403 and 413, and sends it again at
//! everything else that is no 2xx, for as long as it takes. Vector sends it again
//! at 408, 429 and 5xx, and Fluent Bit at everything that is no 2xx. So a request
//! that will never be taken is answered with 400 or 413, and one that should come
//! again with 503 or 504. An object has the form of the errors of Datadog's
//! second API.

use serde_json::json;

use crate::answer::{Answer, Verdict};

const JSON: &str = "application/json";

/// The answer to logs. What was refused for good is acknowledged: it is for the
/// caller to keep it as dead letters.
#[must_use]
pub fn logs(verdict: Verdict<'_>) -> Answer {
    match verdict {
        Verdict::Settled { .. } => Answer::new(202, JSON, "{}"),
        Verdict::Busy(reason) => error(503, reason).retried_after_a_second(),
        Verdict::Stopping => error(503, "this node is shutting down").retried_after_a_second(),
        Verdict::Unknown(reason) => error(504, reason).retried_after_a_second(),
        Verdict::NoToken => error(403, "an API key is required"),
        Verdict::WrongToken => error(403, "the API key is wrong"),
        Verdict::Malformed(reason) | Verdict::Unsupported(reason) => error(400, reason),
        Verdict::TooLarge(reason) => error(413, reason),
    }
}

/// `GET /api/v1/validate` with a right key: Vector asks for it when it starts.
#[must_use]
pub fn validate() -> Answer {
    Answer::new(200, JSON, r#"{"valid":true}"#)
}

fn error(status: u16, detail: &str) -> Answer {
    let title = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        413 => "Payload Too Large",
        504 => "Gateway Timeout",
        _ => "Service Unavailable",
    };
    let status_text = status.to_string();
    let body = json!({"errors": [{"status": status_text, "title": title, "detail": detail}]});
    Answer::new(status, JSON, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected::{Rejected, Rejections};

    #[test]
    fn whatever_is_settled_is_acknowledged() {
        let mut rejected = Rejected::default();
        rejected.push(0, "no");
        for rejections in [Rejections::default(), rejected.merge(Vec::new())] {
            let rejections = &rejections;
            let answer = logs(Verdict::Settled {
                total: 1,
                rejections,
            });
            assert_eq!(answer, Answer::new(202, JSON, "{}"));
        }
    }

    #[test]
    fn the_agent_drops_only_what_will_never_be_taken() {
        for (verdict, status) in [
            (Verdict::Busy("full"), 503),
            (Verdict::Stopping, 503),
            (Verdict::Unknown("lost"), 504),
            (Verdict::NoToken, 403),
            (Verdict::WrongToken, 403),
            (Verdict::Malformed("\"bad\""), 400),
            (Verdict::Unsupported("br"), 400),
            (Verdict::TooLarge("big"), 413),
        ] {
            let answer = logs(verdict);
            assert_eq!(answer.status, status, "{verdict:?}");
            let retried = Answer::default().retried_after_a_second().headers;
            let expected = if status >= 500 { retried } else { Vec::new() };
            assert_eq!(answer.headers, expected, "{verdict:?}");
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["errors"][0]["status"], status.to_string());
            assert_ne!(body["errors"][0]["detail"], "");
        }
    }

    #[test]
    fn a_right_key_is_valid() {
        assert_eq!(validate(), Answer::new(200, JSON, r#"{"valid":true}"#));
    }
}
