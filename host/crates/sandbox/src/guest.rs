//! The host's side of one instance.

use std::time::Instant;

use sluice_types::records::Records;
use wasmtime::component::ResourceTable;
use wasmtime::{StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::grant_error::GrantError;
use super::grants::Granted;
use super::limits::{Limits, MAX_RANDOM};
use super::memory_limit::MemoryLimit;
use super::stderr::LoggedStderr;
use super::stdout::InstanceStdout;

/// The most handles (open files, streams, timers) that an instance can hold.
/// Each can be a file descriptor of the node.
pub const MAX_HANDLES: usize = 256;

/// The data of an instance's store.
pub(crate) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) memory: MemoryLimit,
    /// What the current `write` is about, for sinks that ask for views of it.
    pub(super) batch: Option<Records>,
    /// How many more ticks the guest may compute in the current call.
    pub(super) ticks_left: u32,
    /// When a tick last found the guest computing.
    pub(super) computed: Option<Instant>,
}

impl Guest {
    /// Creates a guest that has clocks, random numbers, stdout, stderr, what it
    /// is granted, and nothing else.
    pub(super) fn new(
        name: &str,
        limits: Limits,
        granted: &Granted,
        stdout: InstanceStdout,
    ) -> Result<Self, GrantError> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stdout)
            .stderr(LoggedStderr::new(name))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM);
        granted.give(&mut wasi)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Ok(Self {
            wasi: wasi.build(),
            table,
            memory: MemoryLimit::new(limits.memory, limits.core_instances),
            batch: None,
            ticks_left: 0,
            computed: None,
        })
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
