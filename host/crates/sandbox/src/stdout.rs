//! The node's stdout, shared by all instances of all sinks.
//!
//! WASI's own stdout writes from the guest's thread: a full pipe would block a
//! worker where no deadline reaches. So the node owns fd 1: what can be written
//! without waiting is written at once; the rest goes into a bounded buffer,
//! which one thread carries to the descriptor. A flush is done when the bytes
//! have reached it. An instance's line is never glued to another's: a line that
//! its writer leaves unfinished is ended first.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::descriptor::{Carried, Chunk, Descriptor};

/// How many bytes may wait for the descriptor. A guest that finds it full
/// waits; so this bounds memory, not the size of a batch.
const CAPACITY: usize = 1 << 20;
/// The most that the thread takes at once, so that what a dropped instance
/// left behind can still be taken back.
const SLICE: usize = 64 << 10;
/// Stands for the writer of a line that an error broke off.
const NOBODY: u64 = u64::MAX;
/// A write from a guest's call that takes longer leaves the next ones to the
/// thread for a while: the disk behind the file has become slow.
const SLOW: Duration = Duration::from_millis(2);
const SLOW_PERIOD: Duration = Duration::from_secs(1);

/// The one way to the node's stdout.
#[derive(Clone, Debug)]
pub struct NodeStdout(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    descriptor: Descriptor,
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes the instances.
    progress: Notify,
    next_instance: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks` and on their way to the descriptor.
    buffered: usize,
    instances: HashMap<u64, Account>,
    /// Someone is writing to the descriptor, the one and only.
    busy: bool,
    /// The instance whose line was begun on the descriptor and not ended.
    unfinished: Option<u64>,
    /// Until when nothing is written from a guest's call, after a write from
    /// one took long.
    only_thread_until: Option<Instant>,
    closed: bool,
}

/// What an instance has under way.
#[derive(Debug, Default)]
struct Account {
    unwritten: usize,
    error: Option<io::ErrorKind>,
}

impl NodeStdout {
    /// Takes over a descriptor (fd 1 in a node) and starts its thread, which
    /// ends when the last handle is gone and all is written.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            descriptor: Descriptor::new(descriptor),
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Notify::new(),
            next_instance: AtomicU64::new(0),
        });
        let carrier = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || carrier.run())?;
        Ok(Self(shared))
    }

    /// A stream for one instance.
    pub(super) fn for_instance(&self) -> InstanceStdout {
        let id = self.0.next_instance.fetch_add(1, Ordering::Relaxed);
        self.0.lock().instances.insert(id, Account::default());
        InstanceStdout(Arc::new(Handle {
            shared: Arc::clone(&self.0),
            id,
        }))
    }

    /// Waits until everything is written, at most `limit`; false if it is not.
    pub async fn drained(&self, limit: Duration) -> bool {
        let drained = async {
            loop {
                let progress = self.0.progress.notified();
                if self.0.lock().buffered == 0 {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(limit, drained).await.is_ok()
    }

    /// Lets the thread end once everything is written.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.work.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: carries what is buffered until the end.
    fn run(&self) {
        while let Some((chunk, unfinished)) = self.next() {
            let carried = self.descriptor.carry(&chunk, unfinished, true);
            if let Err(error) = &carried.result {
                tracing::warn!(%error, "could not write to stdout");
            }
            self.settle(chunk, carried, |_| {});
        }
    }

    /// The next piece of work, at most [`SLICE`] bytes; `None` at the end.
    fn next(&self) -> Option<(Chunk, Option<u64>)> {
        let mut state = self.lock();
        loop {
            if !state.busy {
                if let Some(front) = state.chunks.front_mut() {
                    let chunk = if front.bytes.len() > SLICE {
                        let (instance, bytes) = (front.instance, front.bytes.split_to(SLICE));
                        Some(Chunk {
                            instance,
                            bytes,
                            last: false,
                        })
                    } else {
                        state.chunks.pop_front()
                    };
                    state.busy = true;
                    return chunk.map(|chunk| (chunk, state.unfinished));
                }
                if state.closed {
                    return None;
                }
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes what an instance writes: straight to the descriptor if nobody is
    /// before it and it goes without waiting, else into the buffer.
    fn push(&self, chunk: Chunk) {
        let mut state = self.lock();
        state.buffered += chunk.bytes.len();
        if let Some(account) = state.instances.get_mut(&chunk.instance) {
            account.unwritten += chunk.bytes.len();
        }
        let now = Instant::now();
        let at_once = !state.busy
            && state.chunks.is_empty()
            && self.descriptor.may_be_quick()
            && state.only_thread_until.is_none_or(|until| now >= until);
        if !at_once {
            state.chunks.push_back(chunk);
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
            state.only_thread_until = (took > SLOW).then(|| now + took + SLOW_PERIOD);
        });
    }

    /// Tells the instance how its bytes fared, and puts back what is left of
    /// them. After an error nothing more of what it has buffered is written: it
    /// is told once and begins anew.
    fn settle(&self, mut chunk: Chunk, carried: Carried, note: impl FnOnce(&mut State)) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.busy = false;
        // What comes after an error begins anew, whoever writes it.
        let broke_off = carried.result.is_err() && carried.unfinished.is_some();
        state.unfinished = if broke_off {
            Some(NOBODY)
        } else {
            carried.unfinished
        };
        note(state);
        state.buffered -= carried.written;
        let left = chunk.bytes.len() - carried.written;
        match state.instances.get_mut(&chunk.instance) {
            Some(account) => {
                account.unwritten -= carried.written;
                if let Err(error) = carried.result {
                    account.error = Some(error.kind());
                    state
                        .chunks
                        .retain(|queued| queued.instance != chunk.instance);
                    state.buffered -= std::mem::take(&mut account.unwritten);
                } else if left > 0 {
                    drop(chunk.bytes.split_to(carried.written));
                    state.chunks.push_front(chunk);
                }
            }
            // Dropped meanwhile: what is left of it goes too.
            None => state.buffered -= left,
        }
        let more = !state.chunks.is_empty() || state.closed;
        drop(guard);
        if more {
            self.work.notify_one();
        }
        self.progress.notify_waiters();
    }
}

/// The stdout of one instance.
#[derive(Clone, Debug)]
pub(super) struct InstanceStdout(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    id: u64,
}

impl InstanceStdout {
    /// Forgets the error of an earlier call.
    pub(super) fn begin(&self) {
        if let Some(account) = self.0.shared.lock().instances.get_mut(&self.0.id) {
            account.error = None;
        }
    }

    /// Waits until all that the instance wrote has reached the descriptor.
    pub(super) async fn flushed(&self) -> io::Result<()> {
        loop {
            let progress = self.0.shared.progress.notified();
            {
                let mut state = self.0.shared.lock();
                let Some(account) = state.instances.get_mut(&self.0.id) else {
                    return Ok(());
                };
                if let Some(kind) = account.error.take() {
                    return Err(kind.into());
                }
                if account.unwritten == 0 {
                    return Ok(());
                }
            }
            progress.await;
        }
    }
}

impl Drop for Handle {
    /// What the instance wrote and nobody waited for was never acknowledged:
    /// it is taken back as far as it has not been handed to the descriptor.
    fn drop(&mut self) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.instances.remove(&self.id);
        let before: usize = state.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        state.chunks.retain(|chunk| chunk.instance != self.id);
        let after: usize = state.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        state.buffered -= before - after;
        state.chunks.push_back(Chunk {
            instance: self.id,
            bytes: Bytes::new(),
            last: true,
        });
        drop(guard);
        self.shared.work.notify_one();
        self.shared.progress.notify_waiters();
    }
}

impl IsTerminal for InstanceStdout {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for InstanceStdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only preview 3 asks for this form, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Stream {
            stdout: self.clone(),
            flushing: false,
            permit: 0,
        })
    }
}

/// A guest's own handle on its stdout.
struct Stream {
    stdout: InstanceStdout,
    /// A flush was asked for: no permit before it is done.
    flushing: bool,
    /// What the guest may still write, by the last [`OutputStream::check_write`].
    permit: usize,
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.permit = match self.permit.checked_sub(bytes.len()) {
            Some(rest) => rest,
            None => {
                return Err(StreamError::trap(
                    "wrote more to stdout than it was permitted",
                ));
            }
        };
        let Handle { shared, id } = &*self.stdout.0;
        shared.push(Chunk {
            instance: *id,
            bytes,
            last: false,
        });
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.flushing = true;
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let Handle { shared, id } = &*self.stdout.0;
        let mut state = shared.lock();
        let free = CAPACITY.saturating_sub(state.buffered);
        let Some(account) = state.instances.get_mut(id) else {
            return Err(StreamError::Closed);
        };
        // The call that wrote it fails, whether its guest heeds this or not.
        if let Some(kind) = account.error {
            self.flushing = false;
            return Err(StreamError::LastOperationFailed(
                io::Error::from(kind).into(),
            ));
        }
        if self.flushing && account.unwritten > 0 {
            return Ok(0);
        }
        self.flushing = false;
        self.permit = free;
        Ok(free)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {
        let shared = Arc::clone(&self.stdout.0.shared);
        loop {
            let progress = shared.progress.notified();
            {
                let state = shared.lock();
                let full = state.buffered >= CAPACITY;
                let ready = state
                    .instances
                    .get(&self.stdout.0.id)
                    .is_none_or(|account| {
                        account.error.is_some() || !(full || self.flushing && account.unwritten > 0)
                    });
                if ready {
                    return;
                }
            }
            progress.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn stdout() -> (NodeStdout, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        (NodeStdout::new(writer.into()).unwrap(), reader)
    }

    async fn put(stream: &mut Box<dyn OutputStream>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let permit = stream.write_ready().await.unwrap().min(bytes.len());
            stream
                .write(Bytes::copy_from_slice(&bytes[..permit]))
                .unwrap();
            bytes = &bytes[permit..];
        }
    }

    #[tokio::test]
    async fn lines_of_two_instances_are_never_glued() {
        let (stdout, mut reader) = stdout();
        let (one, other) = (stdout.for_instance(), stdout.for_instance());
        put(&mut one.p2_stream(), b"half of one").await;
        one.flushed().await.unwrap();
        put(&mut other.p2_stream(), b"other\n").await;
        put(&mut one.p2_stream(), b"whole\nagain half").await;
        one.flushed().await.unwrap();
        drop(one);
        other.flushed().await.unwrap();
        drop(other);
        stdout.close();
        drop(stdout);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "half of one\nother\nwhole\nagain half\n");
    }

    #[tokio::test]
    async fn a_full_pipe_gives_no_permit_and_what_is_dropped_is_taken_back() {
        let (stdout, mut reader) = stdout();
        let one = stdout.for_instance();
        let mut stream = one.p2_stream();
        loop {
            match stream.check_write().unwrap() {
                0 => break,
                permit => stream.write(vec![b'x'; permit].into()).unwrap(),
            }
        }
        assert!(!stdout.drained(Duration::from_millis(20)).await);
        drop((stream, one));
        let other = stdout.for_instance();
        let drain = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        });
        put(&mut other.p2_stream(), b"after\n").await;
        other.flushed().await.unwrap();
        stdout.close();
        drop((other, stdout));
        let bytes = drain.join().unwrap();
        assert!(
            bytes.len() <= (64 << 10) + SLICE + 7,
            "{} bytes",
            bytes.len()
        );
        assert!(bytes.ends_with(b"x\nafter\n"));
    }

    #[tokio::test]
    async fn a_guest_that_writes_more_than_it_may_is_stopped() {
        let (stdout, _reader) = stdout();
        let one = stdout.for_instance();
        let mut stream = one.p2_stream();
        let unasked = stream.write(Bytes::from_static(b"x"));
        assert!(matches!(unasked, Err(StreamError::Trap(_))), "{unasked:?}");
        let permit = stream.check_write().unwrap();
        let beyond = stream.write(vec![b'x'; permit + 1].into());
        assert!(matches!(beyond, Err(StreamError::Trap(_))), "{beyond:?}");
    }

    #[tokio::test]
    async fn an_error_fails_the_call_that_wrote_even_if_its_guest_goes_on() {
        let (stdout, reader) = stdout();
        drop(reader);
        let one = stdout.for_instance();
        let mut stream = one.p2_stream();
        put(&mut stream, b"lost\n").await;
        stream.ready().await;
        assert!(stream.check_write().is_err());
        assert!(one.flushed().await.is_err());
        one.begin();
        assert!(one.flushed().await.is_ok());
    }

    #[tokio::test]
    async fn a_closed_reader_is_an_error_and_not_the_end() {
        let (stdout, reader) = stdout();
        drop(reader);
        let one = stdout.for_instance();
        put(&mut one.p2_stream(), b"lost\n").await;
        assert_eq!(
            one.flushed().await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        put(&mut one.p2_stream(), b"lost too\n").await;
        assert_eq!(
            one.flushed().await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
