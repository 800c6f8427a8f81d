//! Streams that write to files. Those of wasmtime-wasi keep whatever a guest
//! hands them until the disk has taken it; these keep what they permitted.

use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor};
use wasmtime_wasi::p2::{DynOutputStream, FsResult};

use crate::guest::Guest;

use super::permitted_output::PermittedOutput;

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
    PermittedOutput::wrap(view.table.get_mut(&opened)?);
    Ok((Ok(opened),))
}
