//! Serves a connection over HTTP/2.
//!
//! Its requests run within its task, so that they end with it and move with it to
//! another thread. Everything that a client can make it keep is bounded.

use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use super::progress;
use super::stage::Stage;

/// The most requests at a time; 100 is the least that RFC 9113 recommends.
const REQUESTS_MAX: u32 = 128;
/// How much of the bodies of all requests, and of one, may arrive before it is
/// read.
const WINDOW_BYTES: u32 = 256 << 10;
/// The largest frame: the least that RFC 9113 allows.
const FRAME_BYTES: u32 = 16 << 10;
/// The largest head of a request, with 32 bytes for each header.
const HEAD_BYTES: u32 = 16 << 10;
/// How much of an answer is kept that the client does not take.
const SEND_BYTES: usize = 64 << 10;
/// How many requests a client may give up before they have begun, and how many it
/// may break, before the connection ends.
const RESETS_MAX: usize = 20;
/// How often a client must show that it is there, and how long that may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);
/// The time for a request with its answer. A request has its own limit, 9 s; after
/// that the client may refuse to take the answer. A stream of events may go on for as
/// long as its client takes them.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// What serves one request.
type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Gives what serves a request to the task of the connection.
#[derive(Clone)]
struct ToTask(mpsc::UnboundedSender<Serving>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for ToTask {
    fn execute(&self, serving: F) {
        let limited = async move {
            // Dropping it resets the stream.
            if !progress::limited(serving, REQUEST_LIMIT).await {
                tracing::debug!("a client did not take its answer in time");
            }
        };
        // There is no receiver only when the connection has ended.
        drop(self.0.send(Box::pin(limited)));
    }
}

/// Serves a connection to its end. Once the server stops accepting connections, the
/// client is told to send no more requests on this one.
pub(super) async fn serve<A, F, B, E>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: A,
    mut stages: watch::Receiver<Stage>,
) where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
    E: Into<axum::BoxError> + 'static,
{
    // As many as there are requests.
    let (requests_in, mut begun) = mpsc::unbounded_channel();
    let mut requests = FuturesUnordered::new();
    let connection =
        builder(ToTask(requests_in)).serve_connection(TokioIo::new(stream), service_fn(answer));
    let mut connection = pin!(connection);
    // If the server is gone, that means the same.
    let mut closing = pin!(stages.wait_for(|stage| *stage != Stage::Serving));
    let mut is_closing = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            Some(request) = begun.recv() => requests.push(request),
            Some(()) = requests.next() => {}
            _ = closing.as_mut(), if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

fn builder(executor: ToTask) -> http2::Builder<ToTask> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS_MAX)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_LIMIT);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::watched_body::WatchedBody;
    use std::convert::Infallible;
    use std::future::pending;

    use axum::body::Body;
    use http_body_util::BodyExt;
    use hyper::client::conn::http2::{Builder, SendRequest};
    use hyper_util::rt::TokioExecutor;
    use tokio::io::duplex;
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    /// A client whose answers may have so many bytes before they are read.
    async fn client<A, F>(answer: A, window: u32) -> SendRequest<Body>
    where
        A: Fn(Request<Incoming>) -> F + Send + 'static,
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let (ours, theirs) = duplex(64 << 10);
        let (stage, stages) = watch::channel(Stage::Serving);
        tokio::spawn(async move {
            let _stage = stage;
            serve(ours, answer, stages).await;
        });
        let mut builder = Builder::new(TokioExecutor::new());
        let builder = builder.initial_stream_window_size(window);
        let (sender, connection) = builder.handshake(TokioIo::new(theirs)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    fn request() -> Request<Body> {
        Request::post("http://localhost/")
            .body(Body::empty())
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_take_its_answer_loses_it() {
        let answer = |_| async { Ok(Response::new(Body::from("an answer"))) };
        let mut client = client(answer, 0).await;
        let asked = Instant::now();
        let response = client.send_request(request()).await.unwrap();
        let body = response.into_body().collect().await;
        assert!(body.is_err(), "{body:?}");
        let waited = asked.elapsed();
        assert!(
            (REQUEST_LIMIT..2 * REQUEST_LIMIT).contains(&waited),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_events_goes_on_for_as_long_as_its_client_takes_them() {
        let answer = |_| async {
            progress::is_stream();
            let events = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(REQUEST_LIMIT / 4).await;
                Some((Ok::<_, Infallible>("event"), ()))
            });
            let body = WatchedBody::new(Body::from_stream(events), ());
            Ok(Response::new(Body::new(body)))
        };
        let mut client = client(answer, WINDOW_BYTES).await;
        let asked = Instant::now();
        let mut body = client.send_request(request()).await.unwrap().into_body();
        while asked.elapsed() < 5 * REQUEST_LIMIT {
            let frame = body.frame().await.expect("it goes on").unwrap();
            let taken = frame.data_ref().map_or(0, Bytes::len);
            assert!(taken > 0);
        }
    }

    #[tokio::test]
    async fn requests_end_with_their_connection() {
        let (begun_in, mut begun) = mpsc::unbounded_channel();
        let answer = move |_| {
            let (alive, ended) = oneshot::channel::<()>();
            begun_in.send(ended).unwrap();
            async move {
                let _alive = alive;
                pending().await
            }
        };
        let mut client = client(answer, WINDOW_BYTES).await;
        let asking = client.send_request(request());
        let asking = tokio::spawn(asking);
        let ended = begun.recv().await.unwrap();
        asking.abort();
        drop(client);
        assert!(ended.await.is_err(), "nothing is sent");
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_reaches_no_route() {
        let (begun_in, mut begun) = mpsc::unbounded_channel();
        let answer = move |_| {
            begun_in.send(()).unwrap();
            async { Ok(Response::new(Body::empty())) }
        };
        let mut client = client(answer, WINDOW_BYTES).await;
        let mut large = request();
        let value = "x".repeat(HEAD_BYTES as usize).parse().unwrap();
        large.headers_mut().insert("large", value);
        let answered = client.send_request(large).await;
        let is_refused = answered
            .as_ref()
            .map_or(true, |answer| answer.status() == 431);
        assert!(is_refused, "{answered:?}");
        assert!(begun.try_recv().is_err());
    }
}
