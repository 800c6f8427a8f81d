//! Counts for metrics and positions in files.

/// The count in 64 bits, which no count in memory exceeds.
pub(crate) fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
