//! The result of writing a node's document.

/// How an attempt to write a node's document ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publication {
    Written,
    /// The session of another process of this node, or of another node of its
    /// name, holds the key.
    HeldByAnother,
    /// The session does not exist.
    NoSuchSession,
    /// No answer: it may have been written.
    Unknown,
}
