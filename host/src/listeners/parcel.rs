//! Records on their way from a listener to the sink.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::Decode;
use crate::http::ingest::Sending;
use sluice_delivery::metrics::IngestMetrics;
use sluice_protocols::memory_budget::Reservation;
use sluice_types::record::LogRecord;

/// Records that are to be delivered.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    /// Whose quota they count for.
    pub(super) client: &'a Sending,
    pub(super) records: Vec<LogRecord>,
    /// Counts what becomes of them.
    pub(super) metrics: &'a IngestMetrics,
    /// What they take, until they wait in the queue.
    pub(super) reservation: Reservation,
    /// Makes them again.
    pub(super) again: Again<'a>,
}

/// How records are made that are to be offered again.
pub(super) enum Again<'a> {
    Decoded(&'a Arc<Decode>, &'a Bytes),
    Kept(Vec<LogRecord>),
}

impl std::fmt::Debug for Again<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decoded(..) => "Decoded",
            Self::Kept(_) => "Kept",
        })
    }
}
