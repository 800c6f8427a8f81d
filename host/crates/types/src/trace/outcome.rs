//! What spans say of records.

/// What became of the records of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanOutcome {
    /// All are safe.
    Accepted,
    /// Some are safe, others are not.
    Partial,
    /// All were refused for good.
    Rejected,
    /// They were acknowledged before.
    Duplicate,
    /// None was delivered; they may be sent again.
    Busy,
    /// The sink asks to try again, or its instance broke.
    Retried,
    /// They were offered and not confirmed.
    Unknown,
    /// Nothing was decided: the client has gone, or the write was stopped.
    Cancelled,
}

impl SpanOutcome {
    /// The value of the attribute `sluice.outcome`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::Duplicate => "duplicate",
            Self::Busy => "busy",
            Self::Retried => "retried",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether somebody should look: no record is safe for now, and the records are
    /// not at fault.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Retried | Self::Unknown | Self::Cancelled
        )
    }
}
