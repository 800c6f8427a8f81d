//! Ends a connection whose client takes its answers too slowly.
//!
//! Only time counts in which something is to be written and the system takes
//! nothing more, because its buffers are full. An idle connection is never late.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The least that a client must take of an answer that is too large for the
/// system's buffers, in bytes per second.
const BYTES_PER_SECOND: u32 = 16 << 10;

/// A stream that fails once its other side was too slow for too long.
#[derive(Debug)]
pub(super) struct DrainRate<S> {
    stream: S,
    stall: Stall,
}

/// How long the other side has kept this one waiting.
#[derive(Debug)]
struct Stall {
    grace: Duration,
    /// Time spent waiting, less the time that the bytes written since may take.
    spent: Duration,
    wait: Option<Wait>,
}

#[derive(Debug)]
struct Wait {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl<S> DrainRate<S> {
    /// `grace` is how long the other side may take nothing at all.
    pub(super) const fn new(stream: S, grace: Duration) -> Self {
        let stall = Stall {
            grace,
            spent: Duration::ZERO,
            wait: None,
        };
        Self { stream, stall }
    }
}

impl Stall {
    /// Accounts for an attempt to write.
    fn observe(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match attempt {
            Poll::Ready(Ok(bytes)) => {
                self.wrote(bytes);
                attempt
            }
            Poll::Ready(Err(_)) => attempt,
            Poll::Pending if self.is_over(cx) => {
                let reason = "the client takes its answers too slowly";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn wrote(&mut self, bytes: usize) {
        if let Some(wait) = self.wait.take() {
            self.spent += wait.since.elapsed();
        }
        if !self.spent.is_zero() {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let earned = Duration::from_secs(1) * bytes / BYTES_PER_SECOND;
            self.spent = self.spent.saturating_sub(earned);
        }
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let rest = self.grace.saturating_sub(self.spent);
        let wait = self.wait.get_or_insert_with(|| Wait {
            since: Instant::now(),
            end: Box::pin(sleep(rest)),
        });
        wait.end.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for DrainRate<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.stall.observe(cx, attempt)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let attempt = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.stall.observe(cx, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DrainRate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const GRACE: Duration = Duration::from_secs(10);

    /// Takes `bytes` per second for as long as there is something.
    async fn take(mut from: DuplexStream, bytes: usize) {
        let mut buffer = vec![0; bytes];
        while from.read_exact(&mut buffer).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Writes a mebibyte to a client that takes so many bytes per second.
    async fn write_to(bytes_per_second: usize) -> (io::Result<()>, Duration) {
        let (ours, theirs) = duplex(4096);
        let client = tokio::spawn(take(theirs, bytes_per_second));
        let started = Instant::now();
        let mut stream = DrainRate::new(ours, GRACE);
        let written = stream.write_all(&vec![b'x'; 1 << 20]).await;
        client.abort();
        (written, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_fast_enough_gets_everything() {
        let (written, took) = write_to(20 << 10).await;
        assert!(written.is_ok() && took > 4 * GRACE, "{written:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_trickles_is_cut_off() {
        for bytes_per_second in [1, 4 << 10] {
            let (written, took) = write_to(bytes_per_second).await;
            let error = written.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(took >= GRACE && took < 2 * GRACE, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_never_late() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = DrainRate::new(ours, GRACE);
        let mut buffer = [0; 100];
        for _ in 0..5 {
            let (written, read) = tokio::join!(
                stream.write_all(&[b'x'; 100]),
                theirs.read_exact(&mut buffer)
            );
            assert!(written.is_ok() && read.is_ok());
            tokio::time::sleep(10 * GRACE).await;
        }
    }
}
