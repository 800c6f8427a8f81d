//! Functions of `wasi:http` that hold as much as a guest likes, or that keep
//! what they need no longer.

use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, HostOutgoingRequest as _, Method, RequestOptions,
};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};

use crate::guest::Guest;

/// The longest authority: a name of 253 bytes, a colon and a port, and a little.
const MAX_AUTHORITY: usize = 270;
/// The longest method. Those that are registered have at most 17 bytes
/// (`UPDATEREDIRECTREF`, IANA's registry of HTTP methods).
const MAX_METHOD: usize = 32;

/// What a setter returns to the guest.
type Set = wasmtime::Result<(Result<(), ()>,)>;
type Answer = Resource<HostFutureIncomingResponse>;

/// Replaces the setters whose texts have no bound.
pub(super) fn bound_requests(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut cx, (request, authority): (Resource<HostOutgoingRequest>, Option<String>)| -> Set {
            if authority
                .as_ref()
                .is_some_and(|text| text.len() > MAX_AUTHORITY)
            {
                return Ok((Err(()),));
            }
            let mut http = cx.data_mut().http();
            Ok((http.set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut cx, (request, method): (Resource<HostOutgoingRequest>, Method)| -> Set {
            if matches!(&method, Method::Other(text) if text.len() > MAX_METHOD) {
                return Ok((Err(()),));
            }
            let mut http = cx.data_mut().http();
            Ok((http.set_method(request, method)?,))
        },
    )
}

/// Replaces the function that sends a request: the options leave the table with
/// it, and a request without a path is one for `/`.
pub(super) fn add_handler(handler: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    handler.func_wrap("handle", |mut cx, (request, options)| {
        handle(cx.data_mut(), request, options)
    })
}

type Request = Resource<HostOutgoingRequest>;
type Options = Option<Resource<RequestOptions>>;

fn handle(
    guest: &mut Guest,
    request: Request,
    options: Options,
) -> wasmtime::Result<(Result<Answer, ErrorCode>,)> {
    let http = guest.http();
    let sent = http.table.get_mut(&request)?;
    sent.path_with_query.get_or_insert_with(|| "/".to_owned());
    let again = options
        .as_ref()
        .map(|options| Resource::new_own(options.rep()));
    let mut http = guest.http();
    let answer = http.handle(request, again);
    if let Some(options) = options {
        guest.http().table.delete(options)?;
    }
    Ok((match answer {
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.downcast()?),
    },))
}
