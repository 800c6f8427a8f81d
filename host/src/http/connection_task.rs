//! The task that serves a connection, which can go on on another thread.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::connections::Place;
use super::workers::{Turns, Workers};

/// A connection and what it holds while it is open.
pub(super) struct OpenConnection {
    pub(super) serving: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) place: Place,
    pub(super) _permit: OwnedSemaphorePermit,
    /// Tells the server that it is open.
    pub(super) _open: mpsc::Sender<()>,
    pub(super) workers: Workers,
}

/// Serves a connection until it ends or moves to another thread.
struct ConnectionTask {
    /// `None` once it has.
    connection: Option<OpenConnection>,
    /// How often it has moved.
    moves: u64,
    turns: Turns,
}

impl OpenConnection {
    /// Begins on this thread.
    pub(super) fn begin_on(self, thread: usize) {
        self.run_on(thread, 0);
    }

    /// Goes on on this thread, after so many moves.
    fn run_on(self, thread: usize, moves: u64) {
        let Some(runtime) = self.workers.runtime(thread).cloned() else {
            return;
        };
        let connections = self.place.connections();
        let key = self.place.key();
        let task = runtime.spawn(ConnectionTask {
            connection: Some(self),
            moves,
            turns: Turns::default(),
        });
        connections.started(key, moves, task.abort_handle());
    }
}

impl Future for ConnectionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(());
        };
        if connection.serving.as_mut().poll(context).is_ready() {
            self.connection = None;
            return Poll::Ready(());
        }
        let Some(thread) = self.turns.took() else {
            return Poll::Pending;
        };
        // Its first turn there tells all that it waits for whom to wake.
        if let Some(connection) = self.connection.take() {
            connection.run_on(thread, self.moves + 1);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use crate::http::{BoundServer, OtherNodes, ServerConfig, workers};
    use sluice_delivery::metrics::Metrics;

    /// Less than a measurement of the turns needs, which would decide otherwise.
    const ROUNDS: usize = 20;

    /// Moves the connection to the other thread while the request arrives, and
    /// answers with its body and the thread that read the end of it.
    fn router(has_begun: mpsc::Sender<()>) -> Router {
        let answer = |request: axum::extract::Request| async move {
            workers::move_to(1 - workers::number());
            has_begun.send(()).await.unwrap();
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            let body = String::from_utf8(body.unwrap().into()).unwrap();
            format!("{body}{}", workers::number())
        };
        Router::new().route("/", axum::routing::post(answer))
    }

    #[tokio::test]
    async fn a_connection_moves_in_the_middle_of_a_request() {
        let (workers, threads) = Workers::start(2).unwrap();
        let (has_begun, mut begun) = mpsc::channel(1);
        let bound = BoundServer::bind(&ServerConfig::local(1), None).unwrap();
        let mut client = TcpStream::connect(bound.address()).await.unwrap();
        let metrics = Arc::new(Metrics::new());
        let nodes = OtherNodes::fake(None, &[]);
        let server = bound.start(
            router(has_begun).into(),
            nodes,
            Arc::clone(&metrics),
            workers,
        );
        for round in 0..ROUNDS {
            let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab";
            client.write_all(head).await.unwrap();
            begun.recv().await.unwrap();
            client.write_all(b"cd").await.unwrap();
            let mut answer = String::new();
            while !answer.contains("abcd") || answer.ends_with("abcd") {
                let mut part = [0; 256];
                let read = client.read(&mut part).await.unwrap();
                assert_ne!(read, 0, "{answer}");
                answer.push_str(std::str::from_utf8(&part[..read]).unwrap());
            }
            let thread = (round + 1) % 2;
            assert!(
                answer.ends_with(&format!("abcd{thread}")),
                "round {round}: {answer}"
            );
        }
        assert_eq!(metrics.connections.get(), 1);
        drop(client);
        server.leave(Duration::from_secs(20)).await;
        assert_eq!(metrics.connections.get(), 0);
        drop(threads);
    }
}
