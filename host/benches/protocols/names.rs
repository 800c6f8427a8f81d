//! The names of the rows that others are compared with.

/// The rows that every other one is compared with.
pub(crate) const NOTHING: &str = "do nothing, NDJSON";
pub(crate) const NDJSON: &str = "NDJSON";
