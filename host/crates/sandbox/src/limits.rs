use std::time::Duration;

/// What each instance may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory in bytes, over all memories of the instance.
    pub memory: usize,
    /// The time for one `open`, `write` or `close`.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            call: Duration::from_secs(10),
        }
    }
}
