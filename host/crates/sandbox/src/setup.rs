use super::grants::Grants;
use super::limits::Limits;

/// What a sink runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The text for the sink's `open`.
    pub config: String,
    /// What each instance may use at most.
    pub limits: Limits,
    /// What each instance can reach.
    pub grants: Grants,
}
