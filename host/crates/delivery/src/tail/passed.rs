//! Records that passed, and what became of them.

use std::sync::Arc;

use sluice_types::records::Records;

/// What became of records, with the reason where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The sink confirmed them.
    Delivered,
    /// An attempt failed; they are offered again.
    Retried(Arc<str>),
    /// The sink refused them for good.
    Refused(Arc<str>),
    /// They are kept as dead letters.
    DeadLetter(Arc<str>),
    /// They were offered and not confirmed, and this node does not offer them
    /// again.
    Unknown(Arc<str>),
}

/// Records that have the same outcome.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The records. The delivery may still hold them.
    pub records: Records,
    /// What became of them.
    pub fate: Fate,
    /// When that was known, in nanoseconds since the Unix epoch.
    pub at: u64,
    /// The sum of the records' sizes.
    pub bytes: usize,
}
