//! Records on their way from a listener to the sink.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::Decode;
use super::protocol::Protocol;
use crate::http::ingest::Sending;
use sluice_delivery::RequestId;
use sluice_delivery::metrics::ListenerMetrics;
use sluice_protocols::memory_budget::Reservation;
use sluice_types::record::LogRecord;

/// Whose records are, and where they came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    /// Whose quota they count for.
    pub(super) client: &'a Sending,
    pub(super) protocol: Protocol,
    /// Counts for the listeners of the protocol.
    pub(super) listener: &'a ListenerMetrics,
}

/// Records that are to be delivered.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    pub(super) whose: Whose<'a>,
    /// What the journal keeps of them, if their client gave them ids.
    pub(super) ids: Vec<RequestId>,
    pub(super) records: Vec<LogRecord>,
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
