//! A connection of a sink: counted, and ended when nobody takes what is sent, or
//! when asked to.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use sluice_types::sink::BoxFuture;

use super::hang_up::HangUp;

/// How long a server may take nothing of what is sent to it. The deadline of a
/// sink's call ends the call; this ends the connection, which may outlive it.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// Fails when the other side takes nothing for too long.
pub(super) struct PatientStream {
    stream: TcpStream,
    /// Since a write has to wait, the time that is left.
    late: Option<Pin<Box<Sleep>>>,
    hang_up: HangUp,
    /// `None` once asked to end.
    asked: Option<BoxFuture<'static, ()>>,
    /// Its place among the connections of the node.
    _place: OwnedSemaphorePermit,
}

impl PatientStream {
    #[cfg(test)]
    pub(super) const fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        let hang_up = HangUp::default();
        Self {
            stream,
            late: None,
            asked: Some(hang_up.asked()),
            hang_up,
            _place: place,
        }
    }

    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(sleep(WRITE_LIMIT)));
        late.as_mut().poll(context).map(|()| {
            let seconds = WRITE_LIMIT.as_secs();
            let text = format!("the server took nothing for {seconds} s");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }
}

impl fmt::Debug for PatientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PatientStream").field(&self.stream).finish()
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper always reads, whatever else it waits for.
        if let Some(asked) = &mut self.asked
            && asked.as_mut().poll(context).is_ready()
        {
            self.asked = None;
        }
        if self.asked.is_none() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, ended)
    }
}

/// What hyper-util asks of a connection before TLS.
impl Connection for PatientStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.hang_up.clone())
    }
}

/// As the HTTP client takes it.
pub(super) type HttpStream = TokioIo<PatientStream>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    #[tokio::test]
    async fn a_server_that_takes_nothing_ends_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_server, places) = (accepted.unwrap(), Arc::new(Semaphore::new(1)));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let mut stream = PatientStream::new(connected.unwrap(), place);
        assert_eq!(places.available_permits(), 0);
        tokio::time::pause();
        let began = Instant::now();
        let error = stream.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(began.elapsed() >= WRITE_LIMIT);
        drop(stream);
        assert_eq!(places.available_permits(), 1);
    }
}
