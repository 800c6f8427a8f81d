//! The body of a request, which belongs to an instance and takes a place.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, WasiBody};

/// Ends with an error if its instance is gone: what the instance could not send
/// any more must not look like the whole body.
pub(super) struct OwnedBody {
    body: WasiBody,
    instance: Weak<()>,
    /// Free when the body is sent and the answer was read.
    _place: Arc<OwnedSemaphorePermit>,
}

impl OwnedBody {
    pub(super) const fn new(
        body: WasiBody,
        instance: Weak<()>,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            body,
            instance,
            _place: place,
        }
    }
}

impl Body for OwnedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let is_cut_off = self.instance.strong_count() == 0;
        match frame {
            Poll::Ready(None) if is_cut_off => Poll::Ready(Some(Err(Error::ConnectionTerminated))),
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn the_body_of_an_instance_that_is_gone_has_no_end() {
        let places = Arc::new(Semaphore::new(2));
        let body = |instance: &Arc<()>| {
            let place = Arc::clone(&places).try_acquire_owned().unwrap();
            let body = Full::new(Bytes::from_static(b"half")).map_err(|never| match never {});
            OwnedBody::new(
                body.boxed_unsync(),
                Arc::downgrade(instance),
                Arc::new(place),
            )
        };
        let instance = Arc::new(());
        assert_eq!(body(&instance).collect().await.unwrap().to_bytes(), "half");
        let cut_off = body(&instance);
        drop(instance);
        let error = cut_off.collect().await.unwrap_err();
        assert!(matches!(error, Error::ConnectionTerminated), "{error:?}");
        assert_eq!(places.available_permits(), 2);
    }
}
