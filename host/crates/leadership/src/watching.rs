//! Which locks a watch is of, and what it shows.

use std::collections::BTreeMap;

use super::lock::{Key, Lock};
use super::stream_name::StreamName;
use sluice_types::stream::DEFAULT_STREAM;

/// The locks that one watch is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watching {
    /// That of the default stream, whose key lies apart.
    Default,
    /// Those of all other streams, in one read.
    Others,
}

impl Watching {
    /// The watch that shows the lock of this stream.
    pub(super) fn of(stream: &str) -> Self {
        match stream {
            DEFAULT_STREAM => Self::Default,
            _ => Self::Others,
        }
    }
}

/// What a watch shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The index of the read, to wait beyond.
    pub(super) index: u64,
    /// The locks whose keys exist.
    pub(super) keys: BTreeMap<StreamName, Key>,
}

impl Seen {
    /// The lock of this stream.
    pub(super) fn lock(&self, stream: &str) -> Lock {
        Lock {
            index: self.index,
            key: self.keys.get(stream).cloned(),
        }
    }
}
