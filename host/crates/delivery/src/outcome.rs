//! What a producer's request is answered with: how it ended, or why it was
//! never taken in.

use sluice_types::rejection::Rejection;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every record that is not rejected is safe, as decided under this epoch.
    Acknowledged {
        /// The leader's epoch.
        epoch: u64,
        /// Sorted by index.
        rejected: Vec<Rejection>,
    },
    /// No record was offered to the sink.
    NotDelivered(&'static str),
    /// Some record was offered to the sink, or written to the journal, but not
    /// confirmed.
    Unknown(String),
}

/// Why a request was not taken in. None of it was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much is waiting already.
    Full,
    /// The request alone exceeds the limit on what may wait.
    TooLarge,
    /// The tenure is over, or about to be.
    Closed(&'static str),
    /// The journal cannot be written.
    Failing,
}
