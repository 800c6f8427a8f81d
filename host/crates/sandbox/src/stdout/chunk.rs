use bytes::{Bytes, BytesMut};

/// Bytes of one instance on their way to the descriptor.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) instance: u64,
    pub(super) bytes: Bytes,
    /// The instance is gone. Its line is ended if it is unfinished.
    pub(super) last: bool,
}

impl Chunk {
    /// Adds bytes at the end. What is there is copied only while a part of it
    /// is being written.
    pub(super) fn append(&mut self, more: &[u8]) {
        let own = std::mem::take(&mut self.bytes).try_into_mut();
        let mut joined = own.unwrap_or_else(|shared| BytesMut::from(&*shared));
        joined.extend_from_slice(more);
        self.bytes = joined.freeze();
    }
}
