//! What a protocol does with a request and how it answers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::asked::Asked;
use crate::http::ingest::repeated::DUPLICATE;
use sluice_delivery::Producer;
use sluice_protocols::answer::{Answer, Verdict};
use sluice_protocols::decoded::Decoded;
use sluice_protocols::elasticsearch::items::Items;
use sluice_protocols::encoding::Encoding;
use sluice_protocols::error::DecodeError;
use sluice_protocols::meter::Meter;
use sluice_protocols::otlp::grpc;
use sluice_protocols::tokens::Protocol;

/// The longest wait that a client is asked for. Some give up records rather than wait
/// for longer.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A request for records, of one protocol.
pub(super) trait Exchange: fmt::Debug + Send + Sync {
    /// Whose tokens it takes.
    fn protocol(&self) -> Protocol;

    /// What tells how the body is compressed.
    fn packing(&self) -> Packing {
        Packing::Named
    }

    /// Whether the answer can say which records were refused.
    fn producer(&self) -> Producer {
        Producer::IsTold
    }

    /// The client's own id of the request, which is the same whenever it sends it.
    fn id(&self) -> Option<&str> {
        None
    }

    /// Decodes the unpacked body.
    ///
    /// # Errors
    /// It cannot be read at all.
    fn decode(&self, body: &Bytes, terms: Terms, meter: &mut Meter) -> Result<Parsed, DecodeError>;

    /// What the answer for these items takes, in bytes, if it has one for each
    /// record. It is charged before the answer is made.
    fn answer_bytes(&self, _items: &Items) -> usize {
        0
    }

    /// The answer for this outcome. `items` are those of the decoded body, if it
    /// was decoded.
    fn answer(&self, verdict: Verdict<'_>, items: &Items) -> Reply;
}

/// What tells what a body holds, and how that is compressed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    /// Its `Content-Encoding`.
    Named,
    /// Its first bytes: clients say other things than they do.
    ByFirstBytes,
    /// The protocol.
    Always(Encoding),
    /// The body is a message of gRPC in its frame.
    GrpcFrame,
}

impl Packing {
    /// What a body holds, and how that is compressed.
    ///
    /// # Errors
    /// The body has another form, or the encoding is unknown.
    pub(super) fn content(
        self,
        asked: &Asked,
        body: &Bytes,
    ) -> Result<(Bytes, Option<Encoding>), DecodeError> {
        let encoding = match self {
            Self::Named => {
                let name = asked.header("content-encoding").unwrap_or_default();
                Encoding::of(name.as_bytes())?
            }
            Self::ByFirstBytes => Encoding::by_magic(body),
            Self::Always(encoding) => Some(encoding),
            Self::GrpcFrame => {
                let encoding = asked.header("grpc-encoding").unwrap_or_default();
                return grpc::unframe(body, encoding);
            }
        };
        Ok((body.clone(), encoding))
    }
}

/// How to decode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The time for records that say none, in nanoseconds since the Unix epoch.
    pub(super) observed: u64,
    /// The most records.
    pub(super) most: usize,
}

/// What a body held.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) decoded: Decoded,
    /// What only the answers of `_bulk` need.
    pub(super) items: Items,
    /// Whether this client would send everything again if it were told of a
    /// refusal. It is told of none, and what the sink refuses is a dead letter.
    pub(super) hides_refusals: bool,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Answer),
    /// The connection is closed without an answer: any answer would make this
    /// client lose what it has sent.
    Close,
}

impl Reply {
    /// Says that the request was acknowledged before.
    pub(super) fn mark_repeated(&mut self) {
        if let Self::Answer(answer) = self {
            answer.headers.push((DUPLICATE, "true".to_owned()));
        }
    }

    /// The same, asking a client that was to wait for a second to wait for so long.
    pub(super) fn retried_after(mut self, wait: Duration) -> Self {
        if let Self::Answer(answer) = &mut self {
            let seconds = wait.min(RETRY_MAX).as_secs_f64().ceil();
            for (name, value) in &mut answer.headers {
                if *name == "retry-after" {
                    *value = seconds.to_string();
                }
            }
        }
        self
    }
}

impl From<Decoded> for Parsed {
    fn from(decoded: Decoded) -> Self {
        Self {
            decoded,
            items: Items::default(),
            hides_refusals: false,
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_above_its_quota_is_asked_to_wait_for_the_right_time_but_not_for_minutes() {
        for (millis, expected) in [(1, "1"), (2001, "3"), (600_000, "30")] {
            let answer = Answer::new(503, "text/plain", "busy");
            let reply = Reply::from(answer.retried_after_a_second());
            let reply = reply.retried_after(Duration::from_millis(millis));
            let Reply::Answer(answer) = reply else {
                panic!("an answer");
            };
            assert_eq!(answer.headers, [("retry-after", expected.to_owned())]);
        }
        let closed = Reply::Close.retried_after(Duration::from_secs(2));
        assert!(matches!(closed, Reply::Close));
    }
}
