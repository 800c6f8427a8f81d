//! What authors of sinks use.

pub(crate) mod new;
