//! What a connection has sent and was not consumed yet.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::ReadBuf;

use super::socket::Socket;
use sluice_protocols::memory_budget::{MemoryBudget, Reservation};

/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;
/// How long to wait before memory is asked for again.
const MEMORY_WAIT: Duration = Duration::from_millis(20);

thread_local! {
    /// Connections read into this first, so that those that send nothing need no
    /// memory.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What was read and not consumed. An empty one has no memory.
#[derive(Debug)]
pub(super) struct Unread {
    bytes: BytesMut,
    memory: Arc<MemoryBudget>,
    /// What the bytes take.
    charged: Reservation,
    is_end: bool,
    /// Whether everything that had come was read.
    is_drained: bool,
}

impl Unread {
    pub(super) fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self {
            bytes: BytesMut::new(),
            memory: Arc::clone(memory),
            charged: memory.reserve(),
            is_end: false,
            is_drained: false,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing more will come.
    pub(super) const fn is_end(&self) -> bool {
        self.is_end
    }

    /// Waits until there is more, and reads what is there, until there are about
    /// `most` bytes.
    /// What a connection sent before it broke is read too.
    pub(super) async fn fill(&mut self, socket: &mut Socket, most: usize) {
        if self.is_drained && socket.readable().await.is_err() {
            self.is_end = true;
        }
        self.read_all(socket, most).await;
    }

    /// Reads what is there, until there are about `most` bytes, and does not wait
    /// for more.
    pub(super) async fn read_all(&mut self, socket: &mut Socket, most: usize) {
        while self.bytes.len() < most && !self.is_end {
            // The buffer grows by doubling.
            while self.charged.spend(2 * READ_BYTES).is_err() {
                tokio::time::sleep(MEMORY_WAIT).await;
            }
            match self.read(socket).await {
                Ok(has_read) => self.is_drained = !has_read,
                Err(_) => self.is_end = true,
            }
            if self.is_drained {
                break;
            }
        }
        self.settle();
    }

    /// Reads once; `false` if nothing was there.
    async fn read(&mut self, socket: &mut Socket) -> io::Result<bool> {
        poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                match socket.poll_read(context, &mut buffer) {
                    Poll::Pending => return Poll::Ready(Ok(false)),
                    Poll::Ready(read) => read?,
                }
                self.is_end = buffer.filled().is_empty();
                self.bytes.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(true))
            })
        })
        .await
    }

    /// Takes bytes from the front, with the memory that they take. The smaller part
    /// is copied: the larger one would keep all of the memory.
    pub(super) fn take(&mut self, bytes: usize) -> (Bytes, Reservation) {
        let mut charged = self.memory.reserve();
        if 2 * bytes < self.bytes.len() {
            charged.force(bytes);
            let taken = Bytes::copy_from_slice(self.bytes.get(..bytes).unwrap_or_default());
            self.bytes.advance(bytes);
            return (taken, charged);
        }
        let rest = self.bytes.get(bytes..).unwrap_or_default();
        charged.force(rest.len());
        let rest = BytesMut::from(rest);
        let mut taken = std::mem::replace(&mut self.bytes, rest);
        taken.truncate(bytes);
        let of_taken = std::mem::replace(&mut self.charged, charged);
        (taken.freeze(), of_taken)
    }

    /// Keeps charged what the bytes take.
    fn settle(&mut self) {
        let mut charged = self.memory.reserve();
        charged.force(self.bytes.capacity());
        self.charged = charged;
    }
}
