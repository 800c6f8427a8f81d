//! Looking names up. What wasmtime-wasi does asks for any name, and by that alone
//! a guest could send out what it knows; this asks for the names that the
//! manifest lists.

use std::net::IpAddr;
use std::vec;

use tokio::sync::oneshot;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::{DynPollable, Pollable, UdpSocket, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use crate::guest::Guest;
use crate::network::NoAddress;
use crate::refusals::Refused;

/// What the functions below return to the guest.
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
type Found = Result<Vec<IpAddr>, NoAddress>;

/// The resource `resolve-address-stream`.
struct Lookup {
    state: State,
    /// Ends the look-up with this.
    _task: AbortOnDropJoinHandle<()>,
}

enum State {
    Waiting(oneshot::Receiver<Found>),
    Found(Result<vec::IntoIter<IpAddr>, NoAddress>),
}

/// Replaces the resource and the functions that make and read it.
pub(super) fn add_to_linker(names: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    names.resource(
        "resolve-address-stream",
        ResourceType::host::<Lookup>(),
        |mut cx, index| {
            let lookup = Resource::<Lookup>::new_own(index);
            cx.data_mut().ctx().table.delete(lookup)?;
            Ok(())
        },
    )?;
    names.func_wrap(
        "resolve-addresses",
        |mut cx, (network, name): (Resource<Network>, String)| -> Answer<Resource<Lookup>> {
            let guest = cx.data_mut();
            guest.ctx().table.get(&network)?;
            let lookup = Lookup::begin(guest.tcp.clone().look_up(name));
            Ok((Ok(guest.ctx().table.push(lookup)?),))
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut cx, (lookup,): (Resource<Lookup>,)| -> Answer<Option<IpAddress>> {
            let lookup = cx.data_mut().ctx().table.get_mut(&lookup)?;
            Ok((lookup.next(),))
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut cx, (lookup,): (Resource<Lookup>,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
            Ok((subscribe(cx.data_mut().ctx().table, lookup)?,))
        },
    )
}

/// Replaces the function that makes sockets for UDP, so that it says so.
pub(super) fn refuse_udp(udp: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    udp.func_wrap(
        "create-udp-socket",
        |mut cx, (_,): (IpAddressFamily,)| -> Answer<Resource<UdpSocket>> {
            let why = "sinks have TCP only";
            cx.data_mut().tcp.refuse(Refused::Udp, "a socket", why);
            Ok((Err(ErrorCode::AccessDenied),))
        },
    )
}

impl Lookup {
    fn begin(looking_up: impl Future<Output = Found> + Send + 'static) -> Self {
        let (found_in, found) = oneshot::channel();
        let task = spawn(async move {
            // If nobody waits, the guest has dropped it.
            drop(found_in.send(looking_up.await));
        });
        Self {
            state: State::Waiting(found),
            _task: task,
        }
    }

    /// The next address; `WouldBlock` before there are any.
    fn next(&mut self) -> Result<Option<IpAddress>, ErrorCode> {
        if let State::Waiting(found) = &mut self.state {
            match found.try_recv() {
                Ok(found) => self.found(found),
                Err(oneshot::error::TryRecvError::Empty) => return Err(ErrorCode::WouldBlock),
                Err(oneshot::error::TryRecvError::Closed) => self.found(Err(NoAddress::Unknown)),
            }
        }
        match &mut self.state {
            State::Found(Ok(addresses)) => Ok(addresses.next().map(IpAddress::from)),
            State::Found(Err(error)) => Err(code(*error)),
            State::Waiting(_) => Err(ErrorCode::WouldBlock),
        }
    }

    fn found(&mut self, found: Found) {
        self.state = State::Found(found.map(Vec::into_iter));
    }
}

const fn code(error: NoAddress) -> ErrorCode {
    match error {
        NoAddress::Denied => ErrorCode::AccessDenied,
        NoAddress::Unknown => ErrorCode::NameUnresolvable,
        NoAddress::Later => ErrorCode::TemporaryResolverFailure,
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let State::Waiting(found) = &mut self.state {
            let found = found.await.unwrap_or(Err(NoAddress::Unknown));
            self.found(found);
        }
    }
}
