//! A client of Fluent Forward, which has a few messages on the way.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::bodies::forward::{CHUNK_BYTES, Message, answer};
use crate::node::FORWARD;
use crate::progress::{PATIENCE, Progress};

/// How many messages a connection has sent that are not acknowledged.
const UNANSWERED: usize = 4;

pub(crate) struct Forward {
    message: Message,
}

impl Forward {
    pub(crate) const fn new(message: Message) -> Self {
        Self { message }
    }

    /// Sends messages with ids that no other connection uses.
    pub(crate) fn run(&self, connection: usize, progress: &Progress) -> io::Result<()> {
        let mut message = self.message.clone();
        let mut stream = TcpStream::connect(FORWARD)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut chunks = (0_u64..).map(|number| chunk(connection, number));
        let mut unanswered = VecDeque::new();
        loop {
            while unanswered.len() < UNANSWERED
                && !progress.is_over()
                && let Some(chunk) = chunks.next()
            {
                message.set_chunk(&chunk);
                stream.write_all(&message.bytes)?;
                progress.sent();
                unanswered.push_back(answer(&chunk));
            }
            let Some(expected) = unanswered.pop_front() else {
                return Ok(());
            };
            let mut received = vec![0; expected.len()];
            stream.read_exact(&mut received)?;
            if received != expected {
                let received = String::from_utf8_lossy(&received);
                return Err(io::Error::other(format!("a wrong answer: {received:?}")));
            }
            progress.answered();
        }
    }
}

/// An id that is used once while the node runs.
fn chunk(connection: usize, number: u64) -> [u8; CHUNK_BYTES] {
    let nanos = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_nanos() as u64;
    let mut chunk = [b'0'; CHUNK_BYTES];
    let text = format!("{connection:02x}{:06x}{nanos:016x}", number & 0xff_ffff);
    chunk
        .iter_mut()
        .zip(text.bytes())
        .for_each(|(byte, new)| *byte = new);
    chunk
}
