//! The name of a stream, as elections pass it around.

use std::sync::Arc;

/// The name of a stream.
pub(super) type StreamName = Arc<str>;
