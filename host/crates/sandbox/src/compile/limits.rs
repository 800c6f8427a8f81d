//! What compiling one component may cost.

use std::fmt;
use std::time::Duration;

/// How many times its processor time a child may take. Low priority makes it
/// slow on a busy machine, which says nothing about the component.
const CLOCK_FACTOR: u32 = 5;
/// The most machine code, in bytes. A component of 50 MB takes about 250 MB.
pub(crate) const MAX_CODE: u64 = 512 << 20;

/// What compiling one component may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// The memory of the child process, in bytes.
    pub memory: u64,
    /// The processor time of all its threads together.
    pub time: Duration,
}

impl CompileLimits {
    /// The time of the clock on the wall: the last resort against a child that
    /// does not compute.
    pub(super) fn clock(&self) -> Duration {
        self.time.saturating_mul(CLOCK_FACTOR)
    }

    /// The processor time in seconds, at least 1: the kernel's unit.
    pub(super) fn seconds(&self) -> u64 {
        let rest = u64::from(self.time.subsec_nanos() > 0);
        (self.time.as_secs() + rest).max(1)
    }
}

/// A limit that compiling a component exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileLimit {
    /// Memory, in bytes.
    Memory(u64),
    /// Processor time.
    Time(Duration),
    /// Time of the clock on the wall.
    Clock(Duration),
    /// The machine code, in bytes.
    Code(u64),
}

impl fmt::Display for CompileLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(
                f,
                "it needs more than {} MiB of memory, the limit of --max-compile-memory; split \
                 its largest functions, or raise the limit",
                bytes >> 20
            ),
            Self::Time(time) => write!(
                f,
                "it needs more than {} s of processor time, the limit of --max-compile-time; \
                 split its largest functions, or raise the limit",
                time.as_secs_f64()
            ),
            Self::Clock(time) => write!(
                f,
                "it was not done after {} s, {CLOCK_FACTOR} times --max-compile-time; make it \
                 smaller, raise the limit, or give the node more processor time",
                time.as_secs_f64()
            ),
            Self::Code(bytes) => write!(
                f,
                "its machine code exceeds {} MiB; make it smaller",
                bytes >> 20
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_the_units_of_the_kernel() {
        for (millis, seconds) in [(1, 1), (1000, 1), (1001, 2), (120_000, 120)] {
            let limits = CompileLimits {
                memory: 0,
                time: Duration::from_millis(millis),
            };
            assert_eq!(limits.seconds(), seconds, "{millis} ms");
        }
    }
}
