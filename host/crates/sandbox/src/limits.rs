use std::num::NonZero;
use std::time::Duration;

use super::core_instances::MAX_CORE_INSTANCES;

/// The most bytes that one call between a guest and the host copies out of the
/// guest's memory, including what a guest's function returns. A batch has at most
/// 1,024 records to refuse.
pub(super) const MAX_HOST_CALL: usize = 16 << 20;
/// The most random bytes of one call.
pub(super) const MAX_RANDOM: u64 = 64 << 10;

/// The most handles (open files, streams, timers) that an instance can hold if it
/// is the only one. Each can be a file descriptor of the node.
pub const MAX_HANDLES: usize = 256;
/// The most writes that a manifest can ask for at a time.
pub const MAX_CONCURRENCY: usize = 16;
/// The handles that an instance can hold however many there are.
const MIN_HANDLES: usize = 64;
/// The most handles that all instances of a sink hold together.
pub const MAX_SINK_HANDLES: usize = MAX_CONCURRENCY * MIN_HANDLES;

/// What a sink and each of its instances may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes, over all memories and tables of the instance.
    pub memory: usize,
    /// Core instances: see [`core_instances`](super::core_instances()).
    pub core_instances: usize,
    /// The time for one `open`, `write` or `close`.
    pub call: Duration,
    /// The writes at a time, each in an instance of its own; [`MAX_CONCURRENCY`]
    /// at most.
    pub concurrency: NonZero<usize>,
}

impl Limits {
    /// The most handles that an instance can hold: a share of [`MAX_HANDLES`].
    pub(super) fn handles(&self) -> usize {
        (MAX_HANDLES / self.concurrency).max(MIN_HANDLES)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            core_instances: MAX_CORE_INSTANCES,
            call: Duration::from_secs(10),
            concurrency: NonZero::<usize>::MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_the_handles_of_a_sink() {
        for (concurrency, handles) in [(1, 256), (2, 128), (3, 85), (4, 64), (16, 64)] {
            let limits = Limits {
                concurrency: NonZero::new(concurrency).unwrap(),
                ..Limits::default()
            };
            assert_eq!(limits.handles(), handles);
            assert!(concurrency * handles <= MAX_SINK_HANDLES);
        }
    }
}
