use std::time::Duration;

use super::core_instances::MAX_CORE_INSTANCES;

/// The most bytes that one call between a guest and the host copies out of the
/// guest's memory, including what a guest's function returns. A batch has at most
/// 1,024 records to refuse.
pub(super) const MAX_HOST_CALL: usize = 16 << 20;
/// The most random bytes of one call.
pub(super) const MAX_RANDOM: u64 = 64 << 10;

/// What each instance may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes, over all memories and tables of the instance.
    pub memory: usize,
    /// Core instances: see [`core_instances`](super::core_instances()).
    pub core_instances: usize,
    /// The time for one `open`, `write` or `close`.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            core_instances: MAX_CORE_INSTANCES,
            call: Duration::from_secs(10),
        }
    }
}
