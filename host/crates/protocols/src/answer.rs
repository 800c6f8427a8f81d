//! What every protocol must be able to say about a request.

use crate::rejected::Rejections;

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// Every record that is not rejected is acknowledged. The client can forget
    /// all of them.
    Settled {
        /// How many records the request had, with the rejected ones.
        total: usize,
        /// What was refused for good, by a decoder or by the sink.
        rejections: &'a Rejections,
    },
    /// Certainly not taken: the queue is full, or no leader is known. The client
    /// should send all of it again in a second.
    Busy(&'a str),
    /// Certainly not taken, and this node is about to end.
    Stopping,
    /// Offered to the sink and not confirmed. Sent again, it may be delivered
    /// twice.
    Unknown(&'a str),
    /// It carries no token, and one is asked for.
    NoToken,
    /// It carries a wrong token.
    WrongToken,
    /// The body cannot be read at all.
    Malformed(&'a str),
    /// The content type or the encoding is unknown.
    Unsupported(&'a str),
    /// It is larger than is ever taken.
    TooLarge(&'a str),
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`; empty for an answer without one.
    pub content_type: &'static str,
    /// Other headers, with names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with this body and no other headers.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, asking the client to wait for a second before it sends again.
    #[must_use]
    pub fn retried_after_a_second(self) -> Self {
        self.with_header("retry-after", "1")
    }
}
