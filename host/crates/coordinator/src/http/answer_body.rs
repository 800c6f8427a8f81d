//! The body of an answer, produced as the client reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::connection::TimeLimit;
use crate::large_answers::LargePermit;

/// The most bytes that are given to the connection at a time. What it has not
/// sent yet stays below twice this.
const FRAME: usize = 32 * 1024;

/// A body of parts, each at most [`FRAME`] long. What the parts are made of is
/// shared with the store, so an unread answer takes little memory.
pub(crate) struct AnswerBody {
    next: Bytes,
    rest: Option<Parts>,
    permit: LargePermit,
    limit: Option<TimeLimit>,
}

/// The parts of a long body, made one by one.
pub(super) type Parts = Box<dyn Iterator<Item = Bytes> + Send>;

impl AnswerBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            next: bytes,
            rest: None,
            permit: LargePermit::default(),
            limit: None,
        }
    }

    pub(super) fn of_parts(parts: Parts) -> Self {
        Self {
            rest: Some(parts),
            ..Self::whole(Bytes::new())
        }
    }

    /// Keeps the permit until the answer is sent.
    pub(super) fn hold(&mut self, permit: LargePermit) {
        self.permit = permit;
    }

    /// Starts the time that the client has to read a large answer.
    pub(super) fn limit_time(&mut self, limit: impl FnOnce(Duration) -> TimeLimit) {
        self.limit = self.permit.time().map(limit);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.next.is_empty() {
            match self.rest.as_mut().and_then(Iterator::next) {
                Some(next) => self.next = next,
                None => return Poll::Ready(None),
            }
        }
        let length = self.next.len().min(FRAME);
        let frame = self.next.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            None => SizeHint::with_exact(u64::try_from(self.next.len()).unwrap_or(u64::MAX)),
            Some(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody")
            .field("next", &self.next.len())
            .finish_non_exhaustive()
    }
}
