//! Functions of `wasi:tls` that hold as much as a guest likes.

use sluice_types::host::MAX_NAME;
use sluice_types::readable;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, IoError};
use wasmtime_wasi_tls::WasiTlsView;
use wasmtime_wasi_tls::p2::bindings::types::{
    HostClientHandshake as _, HostFutureClientStreams as _,
};
use wasmtime_wasi_tls::p2::{HostClientConnection, HostClientHandshake, HostFutureClientStreams};

use super::permitted_output::PermittedOutput;
use crate::guest::Guest;

type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;
type Streams = (Resource<HostClientConnection>, Input, Output);
/// What `future-client-streams.get` returns.
type Got = Option<Result<Result<Streams, Resource<IoError>>, ()>>;

/// Replaces the function that keeps a name, and the one that returns a stream.
pub(super) fn add_to_linker(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[constructor]client-handshake",
        |mut cx,
         (name, input, output): (String, Input, Output)|
         -> wasmtime::Result<(Resource<HostClientHandshake>,)> {
            let mut tls = cx.data_mut().tls();
            Ok((tls.new(bounded(name), input, output)?,))
        },
    )?;
    types.func_wrap(
        "[method]future-client-streams.get",
        |mut cx, (future,): (Resource<HostFutureClientStreams>,)| -> wasmtime::Result<(Got,)> {
            let mut tls = cx.data_mut().tls();
            let got = tls.get(future)?;
            if let Some(Ok(Ok((_, _, output)))) = &got {
                PermittedOutput::wrap(tls.table.get_mut(output)?);
            }
            Ok((got,))
        },
    )
}

/// A name that is too long is cut, and is no name any more: the handshake fails.
fn bounded(name: String) -> String {
    match name.len() > MAX_NAME {
        true => readable::line(&name, MAX_NAME),
        false => name,
    }
}
