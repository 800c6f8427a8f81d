//! What a status means for the records of a request.

/// What becomes of the records that a request held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The destination has them.
    Taken,
    /// It may take them later.
    Retry,
    /// It will never take them.
    Refuse,
}

impl Verdict {
    /// What a status usually means:
    ///
    /// | status | |
    /// |---|---|
    /// | 2xx | taken |
    /// | 408, 425, 429, 5xx | retry |
    /// | 401, 403, 404, 407, 3xx | retry: wrong credentials, a wrong address or a server behind a proxy that is away are no fault of the records, and can be mended while they wait |
    /// | any other 4xx | refuse |
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            401 | 403 | 404 | 407 | 408 | 425 | 429 => Self::Retry,
            400..=499 => Self::Refuse,
            _ => Self::Retry,
        }
    }
}
