//! What to say of a request of which nothing is acknowledged, over HTTP and gRPC.

use std::borrow::Cow;

use crate::answer::Verdict;
use crate::rejected::Rejections;
use sluice_types::excerpt::excerpt;

/// The most characters of a message: over gRPC it is a header.
const MESSAGE_CHARS: usize = 500;

/// Codes of gRPC.
const INVALID_ARGUMENT: u8 = 3;
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// Why a request is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status of HTTP.
    pub(super) http: u16,
    /// The code of gRPC.
    pub(super) grpc: u8,
    /// What happened, and what to do.
    pub(super) message: String,
}

impl Refusal {
    /// Why the request is refused; how many records it had, and which of them are
    /// rejected, if it is not.
    ///
    /// The protocol lets clients send again after 429, 502, 503 and 504. But most
    /// versions of the Python SDK in use drop what is answered with 429
    /// (open-telemetry/opentelemetry-python#3122), so 429 is never sent. Over gRPC,
    /// `RESOURCE_EXHAUSTED` is final for some clients and temporary for others, so
    /// it is never sent either, not even for what is too large.
    pub(super) fn of(verdict: Verdict<'_>) -> Result<Self, (usize, &Rejections)> {
        let (http, grpc, message) = match verdict {
            Verdict::Settled { total, rejections } => return Err((total, rejections)),
            Verdict::Busy(reason) => (503, UNAVAILABLE, busy(reason)),
            Verdict::Stopping => (503, UNAVAILABLE, busy("this node is stopping")),
            Verdict::Unknown(reason) => (504, UNAVAILABLE, unknown(reason)),
            Verdict::NoToken => (401, UNAUTHENTICATED, NO_TOKEN.into()),
            Verdict::WrongToken => (401, UNAUTHENTICATED, WRONG_TOKEN.into()),
            Verdict::Malformed(reason) => (400, INVALID_ARGUMENT, reason.into()),
            Verdict::Unsupported(reason) => (415, UNIMPLEMENTED, reason.into()),
            Verdict::TooLarge(reason) => (413, INVALID_ARGUMENT, reason.into()),
        };
        let message = excerpt(&message, MESSAGE_CHARS).into_owned();
        Ok(Self {
            http,
            grpc,
            message,
        })
    }

    /// Whether the client should send the request again in a second.
    pub(super) const fn is_temporary(&self) -> bool {
        self.grpc == UNAVAILABLE
    }

    /// Whether a token would help.
    pub(super) const fn wants_token(&self) -> bool {
        self.grpc == UNAUTHENTICATED
    }
}

const NO_TOKEN: &str = "this node wants a token: send the header Authorization: Bearer <token>";
const WRONG_TOKEN: &str = "the token is not the one that this node wants";

fn busy(reason: &str) -> Cow<'static, str> {
    format!("{reason}; nothing was delivered, send it again in a second").into()
}

fn unknown(reason: &str) -> Cow<'static, str> {
    format!("outcome unknown: {reason}; sending it again may deliver it twice").into()
}
