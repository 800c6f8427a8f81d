//! What can be set for a stream.

use std::time::Duration;

use super::journal_place::JournalPlace;
use crate::once::Remembered;
use sluice_delivery::{Ack, QueueLimits};

/// The settings of one stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamConfig {
    /// The stream's name.
    pub(crate) name: String,
    /// What an acknowledgement means.
    pub(crate) ack: Ack,
    /// The limits of the queue.
    pub(crate) queue: QueueLimits,
    /// Where the journal is.
    pub(crate) journal: JournalPlace,
    /// The most bytes that the journal may take on disk.
    pub(crate) journal_bytes: u64,
    /// The most bytes of dead letters to keep.
    pub(crate) dead_letter_bytes: u64,
    /// How long accepted requests may take to finish when a tenure ends.
    pub(crate) drain: Duration,
    /// What is remembered of requests with ids.
    pub(crate) remembered: Remembered,
}
