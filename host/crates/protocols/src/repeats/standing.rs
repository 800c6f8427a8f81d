//! What is known of what was sent.

/// What became of an attempt that does not make the next one needless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It was refused.
    Refused,
    /// Nobody knows: it may be delivered twice.
    Unknown,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is delivered, or kept as refused.
    Acknowledged,
    /// It was refused for good, and the client was told.
    Refused,
    /// It was offered and not confirmed. It can be settled again when it is.
    Unknown,
    /// It was certainly not taken.
    NotTaken,
}

/// How far a delivery was when the answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its ticket will be settled.
    UnderWay,
    /// It was acknowledged.
    Acknowledged,
    /// Its outcome is unknown.
    Unknown,
}

/// What is known of something, with the number of a ticket.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Nothing(u64, Option<Earlier>),
    UnderWay(u64),
    Acknowledged(u64),
}

impl Found {
    pub(super) const fn new(ticket: u64) -> Self {
        Self::Nothing(ticket, None)
    }
}
