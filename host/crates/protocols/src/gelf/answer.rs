//! The answers to GELF over HTTP.
//!
//! Most clients look at no answer at all. What was refused for good is answered
//! like what was taken: there is no word for it.

use crate::answer::{Answer, Verdict};

const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a request with messages.
#[must_use]
pub fn answer(verdict: Verdict<'_>) -> Answer {
    match verdict {
        Verdict::Settled { .. } => Answer::new(202, "", ""),
        Verdict::Busy(reason) | Verdict::Unknown(reason) => {
            Answer::new(503, TEXT, reason).retried_after_a_second()
        }
        Verdict::Stopping => Answer::new(503, TEXT, "stopping").retried_after_a_second(),
        Verdict::NoToken => Answer::new(401, TEXT, "a token is required"),
        Verdict::WrongToken => Answer::new(403, TEXT, "the token is wrong"),
        Verdict::Malformed(reason) => Answer::new(400, TEXT, reason),
        Verdict::Unsupported(reason) => Answer::new(415, TEXT, reason),
        Verdict::TooLarge(reason) => Answer::new(413, TEXT, reason),
    }
}
