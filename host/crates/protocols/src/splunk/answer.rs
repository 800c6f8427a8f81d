//! The collector's answers.
//!
//! The codes and texts are Splunk's, which some clients read; `reason` and
//! `rejected` are additions, which none of them minds. Docker's driver sends
//! again, for ever, after every status but 200. The Collector, Fluent Bit and
//! Vector drop what was answered with 400, and send again after 503.

use std::fmt::Write as _;

use crate::answer::{Answer, Verdict};
use crate::decoded::Decoded;
use crate::error::DecodeError;
use crate::rejected::Rejections;

/// Why an event is not accepted, in Splunk's words, which have their own codes.
pub(super) const EVENT_REQUIRED: &str = "Event field is required";
pub(super) const EVENT_BLANK: &str = "Event field cannot be blank";
/// Why a body is not accepted, in Splunk's words. Firehose probes for it.
const NO_DATA: &str = "No data";

/// The most bytes of the list of rejections. Fluent Bit's buffer for an answer may
/// be only 4 KiB; if it is too small, Fluent Bit sends again.
const LISTED_BYTES: usize = 3 << 10;

const JSON: &str = "application/json";

/// The answer to a request with events or lines. With a channel, the client gets
/// an id, for which it then asks whether the events are indexed.
#[must_use]
pub fn answer(verdict: Verdict<'_>, ack_id: Option<u64>) -> Answer {
    match verdict {
        Verdict::Settled { rejections, .. } => {
            let ack = ack_id.map_or_else(String::new, |id| format!(",\"ackId\":{id}"));
            let rejected = listed(rejections);
            coded(200, "Success", 0, &format!("{ack}{rejected}"))
        }
        Verdict::Busy(_) => coded(503, "Server is busy", 9, "").retried_after_a_second(),
        Verdict::Unknown(reason) => {
            coded(503, "Server is busy", 9, &because(reason)).retried_after_a_second()
        }
        Verdict::Stopping => coded(503, "Server is shutting down", 23, "").retried_after_a_second(),
        Verdict::NoToken => coded(401, "Token is required", 2, ""),
        Verdict::WrongToken => coded(403, "Invalid token", 4, ""),
        Verdict::Malformed(reason) => malformed(reason),
        // With any other status, older Collectors would send again.
        Verdict::Unsupported(reason) => coded(400, "Invalid data format", 6, &because(reason)),
        Verdict::TooLarge(reason) => coded(413, "Request entity too large", 27, &because(reason)),
    }
}

/// The answer to a request whose `Authorization` is in no known form.
#[must_use]
pub fn invalid_authorization() -> Answer {
    coded(401, "Invalid authorization", 3, "")
}

/// The answer to a question for acknowledgements that names no channel.
#[must_use]
pub fn channel_missing() -> Answer {
    coded(400, "Data channel is missing", 10, "")
}

/// The answer to the question whether events can be sent.
#[must_use]
pub fn health(is_healthy: bool) -> Answer {
    match is_healthy {
        true => coded(200, "HEC is healthy", 17, ""),
        false => coded(503, "HEC is unhealthy, queues are full", 18, "").retried_after_a_second(),
    }
}

/// The answer to `OPTIONS`.
#[must_use]
pub fn options() -> Answer {
    Answer::new(200, JSON, "")
}

/// What was decoded, or an error if that is nothing. Then no client is told that
/// something was taken, and none loses an event that was, so this is the one place
/// where 400 is safe.
///
/// # Errors
/// There is no record; what the first rejection says.
pub(super) fn unless_all_rejected(decoded: Decoded) -> Result<Decoded, DecodeError> {
    if !decoded.records.is_empty() {
        return Ok(decoded);
    }
    let rejections = decoded.rejected.merge(Vec::new());
    let first = rejections.listed.into_iter().next();
    let reason = first.map_or_else(|| NO_DATA.to_owned(), |first| first.reason);
    Err(DecodeError::Malformed(reason))
}

/// The first event of a malformed body is the one that is wrong; see
/// [`unless_all_rejected`].
fn malformed(reason: &str) -> Answer {
    match reason {
        NO_DATA => coded(400, NO_DATA, 5, ""),
        EVENT_REQUIRED => coded(400, EVENT_REQUIRED, 12, ",\"invalid-event-number\":0"),
        EVENT_BLANK => coded(400, EVENT_BLANK, 13, ",\"invalid-event-number\":0"),
        reason => {
            let more = format!(",\"invalid-event-number\":0{}", because(reason));
            coded(400, "Invalid data format", 6, &more)
        }
    }
}

fn coded(status: u16, text: &str, code: u8, more: &str) -> Answer {
    let body = format!("{{\"text\":\"{text}\",\"code\":{code}{more}}}");
    Answer::new(status, JSON, body)
}

fn because(reason: &str) -> String {
    format!(",\"reason\":{}", quoted(reason))
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The rejections as a member, as far as there is room for them, and how many
/// there are if there was not.
fn listed(rejections: &Rejections) -> String {
    if rejections.total == 0 {
        return String::new();
    }
    let mut list = String::from(",\"rejected\":[");
    let mut count = 0;
    for rejection in &rejections.listed {
        let reason = quoted(&rejection.reason);
        if list.len() + reason.len() > LISTED_BYTES {
            break;
        }
        let comma = if count == 0 { "" } else { "," };
        let index = rejection.index;
        // Writing to a string cannot fail.
        _ = write!(list, "{comma}{{\"index\":{index},\"reason\":{reason}}}");
        count += 1;
    }
    list.push(']');
    if count < rejections.total {
        _ = write!(list, ",\"rejected-count\":{}", rejections.total);
    }
    list
}
