//! Which record of a request was not accepted, and why.

/// Of how many rejected records of a request the reasons are kept, from the
/// first on. Nobody reads more, and they would take more memory than the records.
pub const REASONS_MAX: usize = 1000;

/// One record of a request that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The record's index in the request, from 0.
    pub index: usize,
    /// The reason, in words for the producer; empty if there are
    /// [`REASONS_MAX`] rejections before this one.
    pub reason: String,
    /// Whether the record is kept as a dead letter.
    pub is_kept: bool,
}
