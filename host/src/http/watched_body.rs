//! An answer's body that tells when the answer is complete.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::progress;

/// A body of an answer. The server drops it once it has taken all of it, and with it
/// what waits for that.
#[derive(Debug)]
pub(super) struct WatchedBody<W> {
    body: Body,
    _watch: W,
}

impl<W> WatchedBody<W> {
    pub(super) const fn new(body: Body, watch: W) -> Self {
        Self {
            body,
            _watch: watch,
        }
    }
}

impl<W: Unpin> HttpBody for WatchedBody<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            progress::part();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
