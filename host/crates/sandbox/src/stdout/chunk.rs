use bytes::Bytes;

/// Bytes of one instance on their way to the descriptor.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) instance: u64,
    pub(super) bytes: Bytes,
    /// The instance is gone. Its line is ended if it is unfinished.
    pub(super) last: bool,
}
