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
    /// Whether other tasks have run since the latest part was made.
    is_its_turn: bool,
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
            is_its_turn: false,
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
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        while this.next.is_empty() {
            let Some(rest) = &mut this.rest else {
                return Poll::Ready(None);
            };
            // However fast the client reads, sessions are served between parts.
            if !std::mem::replace(&mut this.is_its_turn, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.is_its_turn = false;
            match rest.next() {
                Some(next) => this.next = next,
                None => this.rest = None,
            }
        }
        let length = this.next.len().min(FRAME);
        let frame = this.next.split_to(length);
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn other_tasks_run_between_the_parts_and_frames_are_short() {
        let lengths = [10, 3 * FRAME + 1, 0, 5];
        let parts = lengths.map(|length| Bytes::from(vec![b'x'; length]));
        let mut body = AnswerBody::of_parts(Box::new(parts.into_iter()));
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
        let mut context = Context::from_waker(std::task::Waker::noop());
        let first = Pin::new(&mut body).poll_frame(&mut context);
        assert!(first.is_pending());
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(frames, [10, FRAME, FRAME, FRAME, 1, 5]);
        let whole = AnswerBody::whole(Bytes::from_static(b"abc"));
        assert_eq!(whole.size_hint().exact(), Some(3));
    }
}
