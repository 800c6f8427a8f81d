//! Datagrams that wait to be delivered.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;

use sluice_protocols::memory_budget::{MemoryBudget, Reservation};

/// How many datagrams are delivered together, and about how many bytes.
const BATCH_DATAGRAMS: usize = 4096;
const BATCH_BYTES: usize = 256 << 10;
/// How many batches wait while one is delivered. The last one is filled first.
const BATCHES: usize = 64;

/// One of the datagrams that are delivered together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    /// In bytes.
    pub(super) length: usize,
    /// Where it came from.
    pub(super) client: IpAddr,
}

/// Datagrams that are delivered together.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: BytesMut,
    pub(super) datagrams: Vec<Datagram>,
    pub(super) charged: Reservation,
    /// When the first of them was received.
    pub(super) since: Instant,
}

/// Batches that wait.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Received>,
    is_closed: bool,
}

impl Received {
    pub(super) fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self {
            bytes: BytesMut::new(),
            datagrams: Vec::new(),
            charged: memory.reserve(),
            since: Instant::now(),
        }
    }

    /// Whether no more is to be added.
    pub(super) fn is_full(&self) -> bool {
        self.datagrams.len() >= BATCH_DATAGRAMS || self.bytes.len() >= BATCH_BYTES
    }

    /// Adds a datagram; false if there is no memory for it.
    pub(super) fn push(&mut self, datagram: &[u8], client: IpAddr) -> bool {
        // The buffers grow by doubling.
        let cost = 2 * (datagram.len() + size_of::<Datagram>());
        if self.charged.spend(cost).is_err() {
            return false;
        }
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push(Datagram {
            length: datagram.len(),
            client,
        });
        true
    }
}

impl Backlog {
    /// Adds datagrams to the last batch that waits, or as another one. Returns how
    /// many found no room.
    pub(super) fn add(&self, received: Received) -> u64 {
        if received.datagrams.is_empty() {
            return 0;
        }
        let mut state = self.lock();
        let mut lost = 0;
        let has_place = state.batches.len() < BATCHES;
        match state.batches.back_mut().filter(|last| !last.is_full()) {
            Some(last) => {
                let mut start = 0;
                for Datagram { length, client } in received.datagrams {
                    let datagram = received.bytes.get(start..start + length);
                    start += length;
                    lost += u64::from(!last.push(datagram.unwrap_or_default(), client));
                }
            }
            None if has_place => state.batches.push_back(received),
            None => lost = u64::try_from(received.datagrams.len()).unwrap_or(u64::MAX),
        }
        drop(state);
        self.changed.notify_one();
        lost
    }

    /// Takes the first batch, and waits for it if there is none; `None` once the
    /// backlog is closed and empty.
    pub(super) async fn next(&self) -> Option<Received> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.lock();
                if let Some(batch) = state.batches.pop_front() {
                    return Some(batch);
                }
                if state.is_closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Says that nothing more is added.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn one(memory: &Arc<MemoryBudget>, datagram: &[u8]) -> Received {
        let mut received = Received::new(memory);
        assert!(received.push(datagram, CLIENT));
        received
    }

    #[tokio::test]
    async fn datagrams_that_come_one_by_one_are_gathered() {
        let (memory, backlog) = (MemoryBudget::new(64 << 20), Backlog::default());
        let count = BATCH_DATAGRAMS * 3;
        for number in 0..count {
            let datagram = number.to_string();
            assert_eq!(backlog.add(one(&memory, datagram.as_bytes())), 0);
        }
        backlog.close();
        let mut next = 0;
        while let Some(batch) = backlog.next().await {
            let mut rest = &batch.bytes[..];
            for Datagram { length, .. } in batch.datagrams {
                let (datagram, behind) = rest.split_at(length);
                assert_eq!(datagram, next.to_string().as_bytes());
                (rest, next) = (behind, next + 1);
            }
        }
        assert_eq!(next, count);
    }

    #[test]
    fn what_finds_no_memory_or_no_place_is_counted() {
        let (memory, backlog) = (MemoryBudget::new(10 << 10), Backlog::default());
        let mut received = Received::new(&memory);
        assert!(!received.push(&[0; 20 << 10], CLIENT));
        let (memory, mut lost) = (MemoryBudget::new(64 << 20), 0);
        for _ in 0..BATCHES + 2 {
            let mut full = Received::new(&memory);
            while !full.is_full() {
                assert!(full.push(b"", CLIENT));
            }
            lost += backlog.add(full);
        }
        assert_eq!(usize::try_from(lost).unwrap(), 2 * BATCH_DATAGRAMS);
    }
}
