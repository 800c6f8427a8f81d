//! What waits for the descriptor, and the accounts of the instances that wrote
//! it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::chunk::Chunk;
use super::descriptor::{Carried, Descriptor};

/// How many bytes of an instance may wait for the descriptor. A guest that finds
/// the buffer full waits. So this bounds memory, not the size of a batch.
const CAPACITY: usize = 1 << 20;
/// The most bytes that the thread takes at once, so that most of what a dropped
/// instance left behind can still be removed.
pub(super) const SLICE: usize = 64 << 10;
/// Stands for the writer of a line that was cut off by an error.
const NOBODY: u64 = u64::MAX;
/// A write from a guest's call that takes longer than this shows that the disk
/// behind the file has become slow.
const SLOW_WRITE: Duration = Duration::from_millis(2);
/// How long only the thread writes after a slow write.
const SLOW_PERIOD: Duration = Duration::from_secs(1);

/// The buffer in front of the node's stdout.
#[derive(Debug)]
pub(super) struct Buffer {
    descriptor: Descriptor,
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes the instances.
    progress: Notify,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks` and on their way to the descriptor.
    buffered: usize,
    instances: HashMap<u64, Pending>,
    next_instance: u64,
    /// Whether somebody is writing to the descriptor. Only one may.
    busy: bool,
    /// The instance that began a line on the descriptor and has not ended it.
    unfinished: Option<u64>,
    /// Until when only the thread writes, after a slow write.
    only_thread_until: Option<Instant>,
    closed: bool,
}

/// What one instance has not yet been told.
#[derive(Debug, Default)]
struct Pending {
    /// Bytes in the buffer and on their way to the descriptor.
    unwritten: usize,
    error: Option<io::ErrorKind>,
}

impl Buffer {
    pub(super) fn new(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Notify::new(),
        }
    }

    /// Waits until everything is written.
    pub(super) async fn drained(&self) {
        loop {
            let progress = self.progress.notified();
            if self.lock().buffered == 0 {
                return;
            }
            progress.await;
        }
    }

    /// Ends the thread once everything is written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    /// Runs the thread: writes what is buffered, until the end.
    pub(super) fn run(&self) {
        while let Some((chunk, unfinished)) = self.next() {
            let carried = self.descriptor.carry(&chunk, unfinished, true);
            if let Err(error) = &carried.result {
                tracing::warn!(%error, "could not write to stdout");
            }
            self.settle(chunk, carried, |_| {});
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next chunk, of at most [`SLICE`] bytes, and returns it with
    /// the instance whose line is unfinished. Returns `None` at the end.
    fn next(&self) -> Option<(Chunk, Option<u64>)> {
        let mut state = self.lock();
        loop {
            if !state.busy {
                if let Some(chunk) = state.take_slice() {
                    state.busy = true;
                    return Some((chunk, state.unfinished));
                }
                if state.closed {
                    return None;
                }
            }
            let woken = self.work.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes a chunk to the descriptor if nothing is in front of it and it
    /// does not have to wait. Otherwise puts it in the buffer.
    fn push(&self, chunk: Chunk) {
        let mut state = self.lock();
        state.buffered += chunk.bytes.len();
        if let Some(pending) = state.instances.get_mut(&chunk.instance) {
            pending.unwritten += chunk.bytes.len();
        }
        let now = Instant::now();
        let at_once = !state.busy
            && state.chunks.is_empty()
            && self.descriptor.may_be_quick()
            && state.only_thread_until.is_none_or(|until| now >= until);
        if !at_once {
            state.enqueue(chunk);
            drop(state);
            self.work.notify_one();
            return;
        }
        state.busy = true;
        let unfinished = state.unfinished;
        drop(state);
        let carried = self.descriptor.carry(&chunk, unfinished, false);
        let took = now.elapsed();
        self.settle(chunk, carried, |state| {
            state.only_thread_until = (took > SLOW_WRITE).then(|| now + took + SLOW_PERIOD);
        });
    }

    /// Notes how far a chunk got, with `also` under the same lock, and wakes
    /// those who wait.
    fn settle(&self, chunk: Chunk, carried: Carried, also: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        state.busy = false;
        also(&mut state);
        state.settle(chunk, carried);
        let more = !state.chunks.is_empty() || state.closed;
        drop(state);
        if more {
            self.work.notify_one();
        }
        self.progress.notify_waiters();
    }
}

impl State {
    /// Puts a chunk at the end. Small ones of the same instance become one, so
    /// that what is buffered takes about as many bytes as it counts.
    fn enqueue(&mut self, chunk: Chunk) {
        match self.chunks.back_mut() {
            Some(back)
                if back.instance == chunk.instance
                    && !back.last
                    && back.bytes.len() + chunk.bytes.len() <= SLICE =>
            {
                back.append(&chunk.bytes);
            }
            _ => self.chunks.push_back(chunk),
        }
    }

    /// Takes the next chunk, or the first [`SLICE`] bytes of it.
    fn take_slice(&mut self) -> Option<Chunk> {
        match self.chunks.front_mut() {
            Some(front) if front.bytes.len() > SLICE => Some(Chunk {
                instance: front.instance,
                bytes: front.bytes.split_to(SLICE),
                last: false,
            }),
            _ => self.chunks.pop_front(),
        }
    }

    /// Tells the instance how far its chunk got, and puts the rest back. After
    /// an error the instance is told once, and everything that it has in the
    /// buffer is dropped.
    fn settle(&mut self, mut chunk: Chunk, carried: Carried) {
        let broke_off = carried.result.is_err() && carried.unfinished.is_some();
        self.unfinished = if broke_off {
            Some(NOBODY)
        } else {
            carried.unfinished
        };
        self.buffered -= carried.written;
        let left = chunk.bytes.len() - carried.written;
        let Some(pending) = self.instances.get_mut(&chunk.instance) else {
            // The instance was dropped meanwhile, and so is the rest.
            self.buffered -= left;
            return;
        };
        pending.unwritten -= carried.written;
        if let Err(error) = carried.result {
            pending.error = Some(error.kind());
            self.buffered -= std::mem::take(&mut pending.unwritten);
            let other = |queued: &Chunk| queued.instance != chunk.instance;
            self.chunks.retain(other);
        } else if left > 0 {
            drop(chunk.bytes.split_to(carried.written));
            self.chunks.push_front(chunk);
        }
    }
}

/// What an instance may write.
#[derive(Debug)]
pub(super) enum Permit {
    /// The account is closed.
    Closed,
    /// An earlier write failed. The call that wrote it fails too, even if the
    /// guest ignores the error.
    Failed(io::ErrorKind),
    /// Nothing, until the flush that the guest asked for is done.
    Flushing,
    /// This many bytes; 0 while the buffer is full.
    Bytes(usize),
}

/// The account of one instance. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Account {
    buffer: Arc<Buffer>,
    id: u64,
    /// The bytes that the instance may still write. All its streams share them:
    /// it can have many, and each could be told of the same room.
    permitted: AtomicUsize,
}

impl Account {
    pub(super) fn open(buffer: Arc<Buffer>) -> Self {
        let id = {
            let mut state = buffer.lock();
            let id = state.next_instance;
            state.next_instance += 1;
            state.instances.insert(id, Pending::default());
            id
        };
        Self {
            buffer,
            id,
            permitted: AtomicUsize::new(0),
        }
    }

    /// Notes how much a stream was told that it may write.
    pub(super) fn grant(&self, bytes: usize) {
        self.permitted.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Writes; returns `false` and writes nothing if it is more than was granted.
    pub(super) fn write(&self, bytes: Bytes) -> bool {
        let spend = |permitted: usize| permitted.checked_sub(bytes.len());
        let spent = self
            .permitted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        if spent.is_err() {
            return false;
        }
        self.buffer.push(Chunk {
            instance: self.id,
            bytes,
            last: false,
        });
        true
    }

    pub(super) fn permit(&self, flushing: bool) -> Permit {
        let state = self.buffer.lock();
        match state.instances.get(&self.id) {
            None => Permit::Closed,
            Some(pending) => match pending.error {
                Some(kind) => Permit::Failed(kind),
                None if flushing && pending.unwritten > 0 => Permit::Flushing,
                None => Permit::Bytes(CAPACITY.saturating_sub(state.buffered)),
            },
        }
    }

    /// Waits until [`Account::permit`] returns something else than nothing.
    pub(super) async fn ready(&self, flushing: bool) {
        loop {
            let progress = self.buffer.progress.notified();
            match self.permit(flushing) {
                Permit::Flushing | Permit::Bytes(0) => progress.await,
                Permit::Closed | Permit::Failed(_) | Permit::Bytes(_) => return,
            }
        }
    }

    pub(super) fn forget_error(&self) {
        if let Some(pending) = self.buffer.lock().instances.get_mut(&self.id) {
            pending.error = None;
        }
    }

    /// Waits until everything that the instance wrote has reached the
    /// descriptor. Returns the error of a write, once.
    pub(super) async fn flushed(&self) -> io::Result<()> {
        loop {
            let progress = self.buffer.progress.notified();
            {
                let mut state = self.buffer.lock();
                let Some(pending) = state.instances.get_mut(&self.id) else {
                    return Ok(());
                };
                if let Some(kind) = pending.error.take() {
                    return Err(kind.into());
                }
                if pending.unwritten == 0 {
                    return Ok(());
                }
            }
            progress.await;
        }
    }
}

impl Drop for Account {
    /// Drops what is still in the buffer: nobody waited for it, so that it was
    /// never acknowledged.
    fn drop(&mut self) {
        let mut guard = self.buffer.lock();
        let state = &mut *guard;
        state.instances.remove(&self.id);
        state.chunks.retain(|chunk| {
            let is_own = chunk.instance == self.id;
            state.buffered -= if is_own { chunk.bytes.len() } else { 0 };
            !is_own
        });
        state.chunks.push_back(Chunk {
            instance: self.id,
            bytes: Bytes::new(),
            last: true,
        });
        drop(guard);
        self.buffer.work.notify_one();
        self.buffer.progress.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_writes_take_no_more_room_than_few() {
        let (_reader, pipe) = io::pipe().unwrap();
        let buffer = Arc::new(Buffer::new(Descriptor::new(pipe.into())));
        let (one, other) = (
            Account::open(Arc::clone(&buffer)),
            Account::open(Arc::clone(&buffer)),
        );
        one.grant(CAPACITY);
        other.grant(CAPACITY);
        // More than the pipe takes.
        assert!(one.write(vec![b'x'; 256 << 10].into()));
        for _ in 0..200_000 {
            assert!(one.write(Bytes::from_static(b"x")));
        }
        assert!(other.write(Bytes::from_static(b"y")));
        let state = buffer.lock();
        assert!(state.chunks.len() <= 6, "{} chunks", state.chunks.len());
        let in_chunks: usize = state.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        assert_eq!(state.buffered, in_chunks);
    }
}
