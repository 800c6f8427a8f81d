//! Why a stream stops.

/// Why a stream stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The node does. Another node leads the stream next.
    Node,
    /// It is closed on all nodes.
    Closed,
}
