//! Streams that write to files. Those of wasmtime-wasi keep whatever a guest
//! hands them until the disk has taken it; these keep what they permitted.

use bytes::Bytes;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor};
use wasmtime_wasi::p2::pipe::ClosedOutputStream;
use wasmtime_wasi::p2::{
    DynOutputStream, FsResult, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::guest::Guest;

/// What a function of `wasi:filesystem` that opens a stream returns.
type Opened = (Result<Resource<DynOutputStream>, ErrorCode>,);

/// Replaces the functions that open such streams.
pub(super) fn add_to_linker(filesystem: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    filesystem.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut cx, (file, offset): (Resource<Descriptor>, u64)| {
            let mut view = cx.data_mut().filesystem();
            let opened = view.write_via_stream(file, offset);
            permitted(&mut view, opened)
        },
    )?;
    filesystem.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut cx, (file,): (Resource<Descriptor>,)| {
            let mut view = cx.data_mut().filesystem();
            let opened = view.append_via_stream(file);
            permitted(&mut view, opened)
        },
    )
}

/// Wraps a stream that was opened.
fn permitted(
    view: &mut WasiFilesystemCtxView<'_>,
    opened: FsResult<Resource<DynOutputStream>>,
) -> wasmtime::Result<Opened> {
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok((Err(error.downcast()?),)),
    };
    let place = view.table.get_mut(&opened)?;
    let inner = std::mem::replace(place, Box::new(ClosedOutputStream));
    *place = Box::new(FileOutput { inner, permit: 0 });
    Ok((Ok(opened),))
}

/// A stream that takes no more than its last permit.
struct FileOutput {
    inner: DynOutputStream,
    /// The bytes that the guest may still write, as the last
    /// [`OutputStream::check_write`] said.
    permit: usize,
}

#[wasmtime_wasi::async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let Some(rest) = self.permit.checked_sub(bytes.len()) else {
            return Err(StreamError::trap(
                "wrote more to a file than it was permitted",
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
impl Pollable for FileOutput {
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
        let mut stream = FileOutput {
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
