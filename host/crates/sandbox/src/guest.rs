//! The host's side of one instance.

use std::time::Instant;

use sluice_types::records::Records;
use wasmtime::component::ResourceTable;
use wasmtime::{StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_tls::{WasiTlsCtx, WasiTlsCtxBuilder, WasiTlsCtxView, WasiTlsView};

use super::grant_error::GrantError;
use super::grants::Granted;
use super::limits::{Limits, MAX_RANDOM};
use super::memory_limit::MemoryLimit;
use super::network::{GuestHttp, GuestTcp, GuestTls};
use super::refusals::SinkRefusals;
use super::stderr::LoggedStderr;
use super::stdout::InstanceStdout;

/// The most bytes of the headers of one request or answer, as wasmtime-wasi-http
/// counts them.
pub(super) const MAX_HEADERS: usize = 32 << 10;

/// What an instance can reach.
pub(super) struct Reached {
    pub(super) http: GuestHttp,
    pub(super) tcp: GuestTcp,
    pub(super) tls: GuestTls,
}

/// The data of an instance's store.
pub(crate) struct Guest {
    /// Before the table, so that a request whose body is in the table sees the
    /// instance end.
    pub(super) http: GuestHttp,
    wasi: WasiCtx,
    table: ResourceTable,
    headers: WasiHttpCtx,
    tls: WasiTlsCtx,
    pub(super) tcp: GuestTcp,
    pub(super) memory: MemoryLimit,
    pub(super) refusals: SinkRefusals,
    /// What the current `write` is about, for sinks that ask for views of it.
    pub(super) batch: Option<Records>,
    /// How many more ticks the guest may compute in the current call.
    pub(super) ticks_left: u32,
    /// When a tick last found the guest computing.
    pub(super) computed: Option<Instant>,
}

impl Guest {
    /// Creates a guest that has clocks, random numbers, stdout, stderr, what it
    /// is granted, and nothing else. Names are looked up by `wasi/names.rs`.
    pub(super) fn new(
        refusals: SinkRefusals,
        limits: Limits,
        granted: &Granted,
        stdout: InstanceStdout,
        Reached { http, tcp, tls }: Reached,
    ) -> Result<Self, GrantError> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stdout)
            .stderr(LoggedStderr::new(refusals.clone()))
            .allow_tcp(true)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM);
        let checked = tcp.clone();
        wasi.socket_addr_check(move |address, purpose| {
            let may = checked.may_use(address, purpose);
            Box::pin(std::future::ready(may))
        });
        granted.give(&mut wasi)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles());
        let mut headers = WasiHttpCtx::new();
        headers.set_field_size_limit(MAX_HEADERS);
        Ok(Self {
            wasi: wasi.build(),
            table,
            headers,
            http,
            tls: WasiTlsCtxBuilder::new().provider(Box::new(tls)).build(),
            tcp,
            memory: MemoryLimit::new(limits.memory, limits.core_instances, refusals.clone()),
            refusals,
            batch: None,
            ticks_left: 0,
            computed: None,
        })
    }

    /// The most handles that it can hold.
    pub(super) fn handles(&self) -> usize {
        self.table.max_capacity()
    }

    /// Called on each tick while the guest computes.
    #[expect(clippy::unnecessary_wraps, reason = "wasmtime's signature")]
    pub(super) fn tick(mut cx: StoreContextMut<'_, Self>) -> wasmtime::Result<UpdateDeadline> {
        let guest = cx.data_mut();
        guest.computed = Some(Instant::now());
        Ok(match guest.ticks_left.checked_sub(1) {
            None => UpdateDeadline::Interrupt,
            Some(left) => {
                guest.ticks_left = left;
                // With another task that yields, the runtime would not look at its sockets
                // and timers for many ticks.
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            }
        })
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.http,
            table: &mut self.table,
            ctx: &mut self.headers,
        }
    }
}

impl WasiTlsView for Guest {
    fn tls(&mut self) -> WasiTlsCtxView<'_> {
        WasiTlsCtxView {
            ctx: &mut self.tls,
            table: &mut self.table,
        }
    }
}
