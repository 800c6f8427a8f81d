//! The part of a long body that has arrived and is not settled, charged before it
//! is kept.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep, timeout};

use sluice_protocols::memory_budget::{MemoryBudget, Reservation};

/// By how much the memory grows at least.
const GROWTH_BYTES: usize = 64 << 10;
/// How long more is waited for before what has arrived is delivered.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// How often it is tried again to get memory. Meanwhile nothing is read.
const MEMORY_POLL: Duration = Duration::from_millis(50);

/// What has arrived, without the parts that were taken.
#[derive(Debug)]
pub(super) struct Gathered {
    memory: Arc<MemoryBudget>,
    bytes: Vec<u8>,
    /// For the capacity of `bytes`.
    reservation: Reservation,
}

/// What a body had next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    More,
    /// For a moment nothing.
    Nothing,
    End,
}

impl Gathered {
    pub(super) fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self {
            memory: Arc::clone(memory),
            bytes: Vec::new(),
            reservation: memory.reserve(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads on. `None` if the body broke off, or there was no memory for more
    /// within `patience`.
    pub(super) async fn receive(&mut self, body: &mut Body, patience: Duration) -> Option<Arrived> {
        let frame = match timeout(PAUSE, body.frame()).await {
            Err(_) => return Some(Arrived::Nothing),
            Ok(None) => return Some(Arrived::End),
            Ok(Some(frame)) => frame.ok()?,
        };
        if let Ok(data) = frame.into_data() {
            let until = Instant::now() + patience;
            while !self.push(&data) {
                if Instant::now() >= until {
                    return None;
                }
                sleep(MEMORY_POLL).await;
            }
        }
        Some(Arrived::More)
    }

    /// Takes the first of the bytes, with the memory that they take.
    pub(super) fn take(&mut self, bytes: usize) -> (Bytes, Reservation) {
        let rest = self.bytes.get(bytes..).unwrap_or_default().to_vec();
        // It is less than arrives at once, or what there was memory for before.
        let mut for_rest = self.memory.reserve();
        for_rest.force(rest.capacity());
        let mut taken = std::mem::replace(&mut self.bytes, rest);
        taken.truncate(bytes);
        let reservation = std::mem::replace(&mut self.reservation, for_rest);
        (taken.into(), reservation)
    }

    /// Adds bytes at the end, if there is memory for them.
    fn push(&mut self, data: &[u8]) -> bool {
        let free = self.bytes.capacity() - self.bytes.len();
        if data.len() > free {
            let more = data.len().max(GROWTH_BYTES);
            if self.reservation.spend(more).is_err() {
                return false;
            }
            self.bytes.reserve_exact(more);
        }
        self.bytes.extend_from_slice(data);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_charged_until_it_is_taken_and_dropped() {
        let memory = MemoryBudget::new(1 << 20);
        let mut gathered = Gathered::new(&memory);
        assert!(gathered.push(b"one two"));
        let (one, charged) = gathered.take(4);
        assert_eq!((&one[..], gathered.bytes()), (&b"one "[..], &b"two"[..]));
        assert_eq!(charged.spent(), GROWTH_BYTES);
        assert!(gathered.push(&[b'x'; 100_000]));
        assert!(!gathered.push(&[b'x'; 1 << 20]), "there is no memory");
        assert_eq!(gathered.bytes().len(), 100_003);
        drop((one, charged, gathered));
        assert_eq!(memory.reserve().spend(1 << 20), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_memory_nothing_is_read_for_a_time() {
        let memory = MemoryBudget::new(1 << 20);
        let mut other = memory.reserve();
        other.force(2 << 20);
        let mut body = Body::from(vec![b'x'; 10]);
        let mut gathered = Gathered::new(&memory);
        let patience = Duration::from_secs(5);
        let started = Instant::now();
        assert_eq!(gathered.receive(&mut body, patience).await, None);
        assert!(started.elapsed() >= patience);
        drop(other);
        let mut body = Body::from(vec![b'x'; 10]);
        let arrived = gathered.receive(&mut body, patience).await;
        assert_eq!(arrived, Some(Arrived::More));
        let arrived = gathered.receive(&mut body, patience).await;
        assert_eq!(arrived, Some(Arrived::End));
    }
}
