//! What the producer of a request can be told.

/// Whether a producer learns which of its records were refused for good. Those of
/// which nobody learns are kept as dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Producer {
    /// The answer to its request says so.
    #[default]
    IsTold,
    /// Its protocol has no words for that.
    CannotBeTold,
    /// It was told already that all of them are safe.
    WasAcknowledged,
}
