//! What one instance owns on the host's side of the border.

use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::grants::{GrantError, Granted};
use super::stderr::LoggedStderr;
use super::stdout::InstanceStdout;

/// The most entries that a guest's tables may hold together, each a pointer's
/// size on the host.
const TABLE_ELEMENTS: usize = 1 << 20;

/// The most handles (open files, streams, timers) that an instance may hold:
/// each can be a file descriptor of the node.
pub const HANDLES: usize = 256;

/// The data of a store.
pub(crate) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) memory: MemoryLimit,
    /// How many more ticks the guest may compute in this call.
    pub(super) ticks_left: u32,
    /// When the guest was last seen computing, not waiting for the host.
    pub(super) computed: Option<Instant>,
}

impl Guest {
    /// A guest with clocks, random numbers, stdout and stderr, what it is
    /// granted, and nothing else.
    pub(super) fn new(
        name: &str,
        memory_limit: usize,
        granted: &Granted,
        stdout: InstanceStdout,
    ) -> Result<Self, GrantError> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stdout)
            .stderr(LoggedStderr::new(name))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        granted.give(&mut wasi)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Ok(Self {
            wasi: wasi.build(),
            table,
            memory: MemoryLimit {
                limit: memory_limit,
                used: 0,
                was_hit: false,
            },
            ticks_left: 0,
            computed: None,
        })
    }

    /// Called at every tick while the guest computes.
    #[expect(clippy::unnecessary_wraps, reason = "wasmtime's signature")]
    pub(super) fn tick(mut cx: StoreContextMut<'_, Self>) -> wasmtime::Result<UpdateDeadline> {
        let guest = cx.data_mut();
        guest.computed = Some(Instant::now());
        Ok(match guest.ticks_left.checked_sub(1) {
            None => UpdateDeadline::Interrupt,
            Some(left) => {
                guest.ticks_left = left;
                UpdateDeadline::Yield(1)
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

/// Refuses memory beyond the limit, over all memories of the instance, and
/// remembers that it did.
pub(super) struct MemoryLimit {
    pub(super) limit: usize,
    used: usize,
    pub(super) was_hit: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.used.saturating_add(desired.saturating_sub(current));
        if grown > self.limit {
            self.was_hit = true;
            return Ok(false);
        }
        self.used = grown;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
