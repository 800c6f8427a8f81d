//! The names of streams.

/// The name of the stream that requests are for if they name none.
pub const DEFAULT_STREAM: &str = "default";
