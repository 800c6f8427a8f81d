//! The entries below `<c>/history/`.

use sluice_types::documents::HistoryDocument;

/// A change that is in Consul.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    /// The last part of its key.
    pub(super) number: u64,
    /// The key's `ModifyIndex`.
    pub(super) index: u64,
    /// What happened; `None` if this version cannot read it.
    pub(super) document: Option<HistoryDocument>,
}

/// A change that is to be noted, and those that make room for it.
pub(super) struct Note {
    pub(super) number: u64,
    pub(super) document: Vec<u8>,
    /// The numbers and indexes of those that are forgotten.
    pub(super) forgotten: Vec<(u64, u64)>,
}
