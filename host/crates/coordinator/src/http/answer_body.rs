//! The body of an answer, produced as the client reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::connection::TimeLimit;
use crate::large_answers::LargePermit;

/// The most bytes that are given to the connection at a time. What it has not
/// sent yet stays below twice this.
const FRAME: usize = 32 * 1024;

/// A body of parts, each at most [`FRAME`] long. What the parts are made of is
/// shared with the store, so an unread answer takes little memory.
pub(crate) struct AnswerBody {
    next: Bytes,
    rest: Rest,
    permit: LargePermit,
    limit: Option<TimeLimit>,
}

/// The parts of a long body, made one by one.
pub(super) type Parts = Box<dyn Iterator<Item = Bytes> + Send>;

/// What comes after the next part.
enum Rest {
    Nothing,
    Here(Parts),
    Elsewhere(mpsc::Receiver<Bytes>),
}

impl Rest {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Self::Nothing => Poll::Ready(None),
            Self::Here(parts) => Poll::Ready(parts.next()),
            Self::Elsewhere(parts) => parts.poll_recv(context),
        }
    }

    /// Makes the parts on another thread, as fast as the client reads: a part can
    /// take milliseconds, and this thread also keeps the sessions.
    fn elsewhere(self) -> Self {
        let Self::Here(parts) = self else {
            return self;
        };
        let (sender, receiver) = mpsc::channel(1);
        spawn_blocking(move || {
            for part in parts {
                // It fails once the answer has been dropped.
                if sender.blocking_send(part).is_err() {
                    return;
                }
            }
        });
        Self::Elsewhere(receiver)
    }
}

impl AnswerBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            next: bytes,
            rest: Rest::Nothing,
            permit: LargePermit::default(),
            limit: None,
        }
    }

    pub(super) fn of_parts(parts: Parts) -> Self {
        Self {
            rest: Rest::Here(parts),
            ..Self::whole(Bytes::new())
        }
    }

    /// Keeps the permit until the answer is sent.
    pub(super) fn hold(&mut self, permit: LargePermit) {
        if permit.is_held() {
            self.rest = std::mem::replace(&mut self.rest, Rest::Nothing).elsewhere();
        }
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
            match ready!(this.rest.poll_next(context)) {
                Some(next) => this.next = next,
                None => {
                    this.rest = Rest::Nothing;
                    return Poll::Ready(None);
                }
            }
        }
        let length = this.next.len().min(FRAME);
        let frame = this.next.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_empty() && matches!(self.rest, Rest::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Nothing => {
                SizeHint::with_exact(u64::try_from(self.next.len()).unwrap_or(u64::MAX))
            }
            Rest::Here(_) | Rest::Elsewhere(_) => SizeHint::default(),
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
    use crate::large_answers::LargeAnswers;

    async fn frames(mut body: AnswerBody) -> Vec<usize> {
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap().len());
        }
        frames
    }

    #[tokio::test]
    async fn frames_are_short_wherever_the_parts_are_made() {
        let parts = || {
            let lengths = [10, 3 * FRAME + 1, 0, 5];
            let parts = lengths.map(|length| Bytes::from(vec![b'x'; length]));
            AnswerBody::of_parts(Box::new(parts.into_iter()))
        };
        let expected = [10, FRAME, FRAME, FRAME, 1, 5];
        assert_eq!(frames(parts()).await, expected);
        let mut large = parts();
        large.hold(LargeAnswers::default().permit().await);
        assert!(matches!(large.rest, Rest::Elsewhere(_)));
        assert_eq!(frames(large).await, expected);
        let whole = AnswerBody::whole(Bytes::from_static(b"abc"));
        assert_eq!(whole.size_hint().exact(), Some(3));
    }
}
