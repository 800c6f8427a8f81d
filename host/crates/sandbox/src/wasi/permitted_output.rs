//! A bound on what a stream keeps that a guest writes to.

use bytes::Bytes;
use wasmtime_wasi::p2::pipe::ClosedOutputStream;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

/// A stream that takes no more than its last permit.
pub(super) struct PermittedOutput {
    inner: DynOutputStream,
    /// The bytes that the guest may still write, as the last
    /// [`OutputStream::check_write`] said.
    permit: usize,
}

impl PermittedOutput {
    /// Puts it around the stream at this place.
    pub(super) fn wrap(place: &mut DynOutputStream) {
        let inner = std::mem::replace(place, Box::new(ClosedOutputStream));
        *place = Box::new(Self { inner, permit: 0 });
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for PermittedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let Some(rest) = self.permit.checked_sub(bytes.len()) else {
            return Err(StreamError::trap(
                "wrote more to a stream than it was permitted",
            ));
        };
        self.permit = rest;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit = self.inner.check_write()?;
        Ok(self.permit)
    }

    /// Gets at most what another stream read, which is 64 KiB.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.permit = 0;
        self.inner.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for PermittedOutput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes everything.
    struct Greedy;

    impl OutputStream for Greedy {
        fn write(&mut self, _bytes: Bytes) -> StreamResult<()> {
            Ok(())
        }

        fn flush(&mut self) -> StreamResult<()> {
            Ok(())
        }

        fn check_write(&mut self) -> StreamResult<usize> {
            Ok(100)
        }
    }

    #[wasmtime_wasi::async_trait]
    impl Pollable for Greedy {
        async fn ready(&mut self) {}
    }

    #[test]
    fn a_guest_that_writes_more_than_its_permit_traps() {
        let mut stream = PermittedOutput {
            inner: Box::new(Greedy),
            permit: 0,
        };
        let unasked = stream.write(Bytes::from_static(b"x"));
        assert!(matches!(unasked, Err(StreamError::Trap(_))), "{unasked:?}");
        assert_eq!(stream.check_write().unwrap(), 100);
        stream.write(vec![b'x'; 60].into()).unwrap();
        let beyond = stream.write(vec![b'x'; 41].into());
        assert!(matches!(beyond, Err(StreamError::Trap(_))), "{beyond:?}");
        stream.write(vec![b'x'; 40].into()).unwrap();
    }
}
