//! A bound on the memory of all bodies that are being read at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes for all requests together.
#[derive(Debug)]
pub struct Room {
    most: usize,
    used: AtomicUsize,
}

/// A part of the room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::new(0),
        })
    }

    /// Nothing of it, to begin with.
    pub(super) fn enter(self: &Arc<Self>) -> Taken {
        Taken {
            room: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Taken {
    /// Takes more; false if there is not as much.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let used = self.room.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        used.saturating_add(bytes) <= self.room.most
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_gives_back_another_can_have() {
        let room = Room::new(10);
        let (mut one, mut other) = (room.enter(), room.enter());
        assert!(one.grow(4) && one.grow(4));
        assert!(!other.grow(3));
        drop(one);
        assert!(other.grow(7) && !other.grow(1));
    }
}
