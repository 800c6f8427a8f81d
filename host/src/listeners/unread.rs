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
use sluice_protocols::memory_budget::{MemoryBudget, Reservation, UNCHARGED_BYTES};

/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;
/// The buffer of a long message grows by doubling, but by no more than this at a
/// time: the messages of several clients are to find room side by side.
const GROWTH_MAX: usize = 1 << 20;
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
            let room = self.room().await;
            match self.read(socket, room).await {
                Ok(has_read) => self.is_drained = !has_read,
                Err(_) => self.is_end = true,
            }
            if self.is_drained {
                break;
            }
        }
        self.settle();
    }

    /// How much can be read now, once what that takes is charged. A short message is
    /// not, so that it finds room however much longer ones take; the number of
    /// connections bounds these.
    async fn room(&mut self) -> usize {
        loop {
            let missing = self.grown().saturating_sub(self.charged.spent());
            if self.charged.spend(missing).is_ok() {
                return READ_BYTES;
            }
            // What the buffer holds without growing is charged already.
            let charged = self.charged.spent().min(self.bytes.capacity());
            match charged
                .max(UNCHARGED_BYTES)
                .saturating_sub(self.bytes.len())
            {
                0 => tokio::time::sleep(MEMORY_WAIT).await,
                left => return left.min(READ_BYTES),
            }
        }
    }

    /// What the buffer takes at most after another read, in bytes.
    fn grown(&self) -> usize {
        let (needed, capacity) = (self.bytes.len() + READ_BYTES, self.bytes.capacity());
        let grown = match needed > capacity {
            true => needed.max(capacity + capacity.min(GROWTH_MAX)),
            false => capacity,
        };
        // One of few bytes grows by doubling.
        grown.max(2 * READ_BYTES)
    }

    /// Adds what was read.
    fn push(&mut self, read: &[u8]) {
        let needed = self.bytes.len() + read.len();
        if needed > self.bytes.capacity() && needed > READ_BYTES {
            let mut grown = BytesMut::with_capacity(self.grown());
            grown.extend_from_slice(&self.bytes);
            self.bytes = grown;
        }
        self.bytes.extend_from_slice(read);
    }

    /// Reads once, at most so much; `false` if nothing was there.
    async fn read(&mut self, socket: &mut Socket, most: usize) -> io::Result<bool> {
        poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                let most = most.min(scratch.len());
                let mut buffer = ReadBuf::new(scratch.get_mut(..most).unwrap_or_default());
                match socket.poll_read(context, &mut buffer) {
                    Poll::Pending => return Poll::Ready(Ok(false)),
                    Poll::Ready(read) => read?,
                }
                self.is_end = buffer.filled().is_empty();
                self.push(buffer.filled());
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
        let mut charged = self.charged.split(self.bytes.capacity());
        charged.force(self.bytes.capacity());
        self.charged = charged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    const ALL: usize = 4 << 20;
    const SOON: Duration = Duration::from_secs(20);

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (Socket::Plain(accepted.unwrap().0), client.unwrap())
    }

    /// A client that sends so many bytes, and what is read of it.
    async fn begun(memory: &Arc<MemoryBudget>, bytes: usize) -> (Unread, Socket) {
        let (socket, mut client) = pair().await;
        tokio::spawn(async move {
            // The other side may be gone first.
            drop(client.write_all(&vec![b'x'; bytes]).await);
            std::future::pending::<()>().await;
        });
        (Unread::new(memory), socket)
    }

    #[tokio::test]
    async fn begun_messages_take_what_there_is_and_leave_room_to_short_ones() {
        let memory = MemoryBudget::new(ALL);
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(begun(&memory, ALL / 4).await);
        }
        // Until none of them can go on.
        let mut silent = 0;
        while silent < 3 {
            let mut read = 0;
            for (unread, socket) in &mut all {
                let before = unread.bytes().len();
                let filling = unread.fill(socket, before + 1);
                drop(timeout(Duration::from_millis(5), filling).await);
                read += unread.bytes().len() - before;
            }
            silent = if read > 0 { 0 } else { silent + 1 };
        }
        let taken: usize = all.iter().map(|(unread, _)| unread.bytes.capacity()).sum();
        assert!(taken > ALL / 2 && taken <= ALL + ALL / 4, "{taken}");
        let (mut short, mut socket) = begun(&memory, UNCHARGED_BYTES).await;
        while short.bytes().len() < UNCHARGED_BYTES {
            let filling = short.fill(&mut socket, UNCHARGED_BYTES);
            timeout(SOON, filling).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_few_of_the_longest_messages_find_room_side_by_side() {
        let memory = MemoryBudget::new(ALL);
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(begun(&memory, ALL / 4).await);
        }
        while let Some((unread, socket)) = all
            .iter_mut()
            .find(|(unread, _)| unread.bytes().len() < ALL / 4)
        {
            // No more will come than that.
            let more = (unread.bytes().len() + READ_BYTES).min(ALL / 4);
            timeout(SOON, unread.fill(socket, more)).await.unwrap();
            all.rotate_left(1);
        }
        for (unread, _) in &all {
            assert_eq!(unread.charged.spent(), unread.bytes.capacity());
        }
    }
}
