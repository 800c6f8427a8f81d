//! A connection's socket that follows its task to another thread.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::workers;

/// A socket that is registered with the runtime of the thread that uses it.
#[derive(Debug)]
pub(super) struct MobileStream {
    /// Taken only while it moves to another runtime.
    stream: Option<TcpStream>,
    /// The thread that it is registered with.
    thread: usize,
}

impl MobileStream {
    /// A socket that is registered with the current thread.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(stream),
            thread: workers::number(),
        }
    }

    fn here(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let thread = workers::number();
        if self.thread != thread {
            let stream = self.stream.take().map(TcpStream::into_std).transpose()?;
            self.stream = stream.map(TcpStream::from_std).transpose()?;
            self.thread = thread;
        }
        let stream = self.stream.as_mut().map(Pin::new);
        stream.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for MobileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.here()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for MobileStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(context)
    }
}
