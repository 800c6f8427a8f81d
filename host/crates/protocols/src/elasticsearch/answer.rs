//! What clients are told about their documents.
//!
//! An answer to a bulk request has an item for each document, in order: 201 (200
//! for an update), or 400 for one that is refused for good. 400 and nothing else,
//! because Logstash sends every other one again without end. An item never says
//! that a document is to be sent again, because several clients take one success
//! for the success of all: then the whole request is answered so.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sluice_types::rejection::Rejection;

use super::client::NotNow;
use super::items::{Action, Items};
use crate::answer::{Answer, Verdict};
use crate::rejected::Rejections;

/// The type of every refusal of a document. Vector asks for a type and a reason.
const REFUSED: &str = "document_parsing_exception";
/// The reason for refusals beyond those whose reasons are kept.
const NOT_LISTED: &str = "refused; only the first reasons of a request are given";
/// The bytes of `took` at most, and of what is around the items.
const FRAME_BYTES: usize = 64;

/// What to do about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answer it.
    Answer(Answer),
    /// End the connection without an answer. Any answer would make this client
    /// lose its documents.
    NoAnswer,
}

/// Where an answer is written, or counted.
trait Output {
    fn put(&mut self, part: &[u8]);
}

/// Counts what is written.
#[derive(Default)]
struct Size(usize);

impl Output for Vec<u8> {
    fn put(&mut self, part: &[u8]) {
        self.extend_from_slice(part);
    }
}

impl Output for Size {
    fn put(&mut self, part: &[u8]) {
        self.0 += part.len();
    }
}

/// The answer to a bulk request that took this many milliseconds. What the sink
/// rejected must have been refused in `items` before ([`Items::refuse`]).
#[must_use]
pub fn bulk(items: &Items, took: u64, verdict: Verdict<'_>, not_now: NotNow) -> Reply {
    reply(verdict, not_now, |rejections| {
        json(200, bulk_body(items, took, rejections))
    })
}

fn bulk_body(items: &Items, took: u64, rejections: &Rejections) -> Vec<u8> {
    let mut body = Vec::with_capacity(bulk_size(items, rejections));
    let is_refused = items.iter().any(|(_, is_refused)| is_refused);
    let has_errors = is_refused || !rejections.listed.is_empty();
    let mut number = itoa::Buffer::new();
    for part in [
        "{\"took\":",
        number.format(took),
        ",\"errors\":",
        if has_errors { "true" } else { "false" },
        ",\"items\":[",
    ] {
        body.put(part.as_bytes());
    }
    write_items(&mut body, items, &rejections.listed);
    body.put(b"]}");
    body
}

/// The most bytes that the answer to a settled bulk request takes in memory. To be
/// charged before it is made.
#[must_use]
pub fn bulk_size(items: &Items, rejections: &Rejections) -> usize {
    let mut size = Size(FRAME_BYTES);
    write_items(&mut size, items, &rejections.listed);
    size.0
}

/// The answer to a single document in this index. `id` is the one that the client
/// gave; `generated` makes one where there is none, such as of the time.
#[must_use]
pub fn document(
    index: &str,
    id: Option<&str>,
    generated: u64,
    verdict: Verdict<'_>,
    not_now: NotNow,
) -> Reply {
    reply(verdict, not_now, |rejections| {
        if rejections.total > 0 {
            let reason = rejections.listed.first().map_or(NOT_LISTED, |r| &r.reason);
            return error(400, REFUSED, reason);
        }
        let id = id.map_or_else(|| Cow::Owned(generated_id(generated)), Cow::Borrowed);
        let body = format!(
            "{{\"_index\":{},\"_id\":{},\"_version\":1,\"result\":\"created\",\"_shards\":{{\
             \"total\":1,\"successful\":1,\"failed\":0}},\"_seq_no\":0,\"_primary_term\":1}}",
            quoted(index),
            quoted(&id)
        );
        json(201, body)
    })
}

/// An answer that says that something is wrong.
#[must_use]
pub fn error(status: u16, kind: &str, reason: &str) -> Answer {
    let body = format!(
        "{{\"error\":{{\"type\":{},\"reason\":{}}},\"status\":{status}}}",
        quoted(kind),
        quoted(reason)
    );
    json(status, body)
}

/// An answer in JSON. It says that it is Elasticsearch's, because the libraries for
/// Python and JavaScript and Logstash refuse a server that does not say so.
pub(super) fn json(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    product(Answer::new(status, "application/json", body))
}

/// The answer with the header that every answer has.
pub(super) fn product(answer: Answer) -> Answer {
    answer.with_header("x-elastic-product", "Elasticsearch")
}

/// The text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write_items(output: &mut impl Output, items: &Items, listed: &[Rejection]) {
    let mut listed = listed.iter().peekable();
    for (place, (action, is_refused)) in items.iter().enumerate() {
        if place > 0 {
            output.put(b",");
        }
        let rejection = listed.next_if(|rejection| rejection.index == place);
        match (rejection, is_refused) {
            (None, false) => output.put(taken(action)),
            (None, true) => write_refused(output, action, NOT_LISTED),
            (Some(rejection), _) if rejection.reason.is_empty() => {
                write_refused(output, action, NOT_LISTED);
            }
            (Some(rejection), _) => write_refused(output, action, &rejection.reason),
        }
    }
}

/// The item of a document that was taken.
const fn taken(action: Action) -> &'static [u8] {
    match action {
        Action::Create => b"{\"create\":{\"status\":201}}",
        Action::Index => b"{\"index\":{\"status\":201}}",
        Action::Update => b"{\"update\":{\"status\":200}}",
        Action::Delete => b"{\"delete\":{\"status\":200}}",
    }
}

fn write_refused(output: &mut impl Output, action: Action, reason: &str) {
    for part in [
        "{\"",
        action.name(),
        "\":{\"status\":400,\"error\":{\"type\":\"",
        REFUSED,
        "\",\"reason\":",
        &quoted(reason),
        "}}}",
    ] {
        output.put(part.as_bytes());
    }
}

/// Twenty characters that are different for each number, like Elasticsearch's own.
fn generated_id(number: u64) -> String {
    let mut bytes = [0; 15];
    if let Some((first, _)) = bytes.split_first_chunk_mut::<8>() {
        *first = number.to_be_bytes();
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The reply to a request that ended like this. `settled` makes the answer to one
/// whose documents are all settled.
fn reply(
    verdict: Verdict<'_>,
    not_now: NotNow,
    settled: impl FnOnce(&Rejections) -> Answer,
) -> Reply {
    Reply::Answer(match verdict {
        Verdict::Settled { rejections, .. } => settled(rejections),
        Verdict::Busy(reason) => return later("es_rejected_execution_exception", reason, not_now),
        Verdict::Stopping => {
            return later("node_closed_exception", "this node is stopping", not_now);
        }
        Verdict::Unknown(reason) => return later("unavailable_shards_exception", reason, not_now),
        Verdict::NoToken => unauthorized("a token is required"),
        Verdict::WrongToken => unauthorized("the token is not valid"),
        Verdict::Unsupported(reason) => error(415, "media_type_header_exception", reason),
        Verdict::TooLarge(reason) => error(413, "content_too_long_exception", reason),
        Verdict::Malformed(reason) => error(400, "illegal_argument_exception", reason),
    })
}

/// Makes the client send everything again.
fn later(kind: &str, reason: &str, not_now: NotNow) -> Reply {
    let status = match not_now {
        NotNow::Unavailable => 503,
        NotNow::TooManyRequests => 429,
        NotNow::NoAnswer => return Reply::NoAnswer,
    };
    Reply::Answer(error(status, kind, reason).retried_after_a_second())
}

fn unauthorized(reason: &str) -> Answer {
    error(401, "security_exception", reason)
        .with_header("www-authenticate", "ApiKey, Bearer realm=\"security\"")
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
