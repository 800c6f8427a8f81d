//! What is going to happen in a world, in the order of true time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::clock::Time;
use super::node::Waiting;
use super::question::Request;
use super::seam::DiskWrite;

#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// A question reaches Consul.
    Arrives(Request),
    /// Something reaches a process of a node.
    Reaches {
        node: usize,
        life: u64,
        what: Waiting,
    },
    /// Something is on a node's disk.
    OnDisk {
        node: usize,
        write: DiskWrite,
    },
    WatchEnds {
        watch: u64,
    },
    /// A node's health is checked.
    HealthCheck {
        node: usize,
    },
    /// Sessions end whose TTL is over.
    Ttls,
    EndSession(String),
    /// Nodes learn of each other.
    Presence,
    Resume {
        node: usize,
    },
    Restart {
        node: usize,
    },
    /// A node can lead, and has its sink prepared.
    Prepared {
        node: usize,
    },
    Fault,
}

/// In the order of time, and of being scheduled.
struct Due(Time, u64, Happening);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// All that is going to happen.
#[derive(Default)]
pub(super) struct Agenda {
    due: BinaryHeap<Reverse<Due>>,
    numbers: u64,
}

impl Agenda {
    /// A number that no other thing of this world has.
    pub(super) const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn add(&mut self, time: Time, happening: Happening) {
        let number = self.number();
        self.due.push(Reverse(Due(time, number, happening)));
    }

    pub(super) fn next(&mut self) -> Option<(Time, Happening)> {
        let Reverse(Due(time, _, happening)) = self.due.pop()?;
        Some((time, happening))
    }
}
