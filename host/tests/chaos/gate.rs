//! An HTTP proxy between a node and its Consul agent, which can make the agent
//! slow, busy or unreachable. (The delay is made here because not every kernel
//! can delay packets.)

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::http;

/// Longer than Consul lets a blocking query wait.
const LONGEST_CALL: Duration = Duration::from_secs(90);

/// What the gate does to requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Passes everything.
    Open,
    /// Delays each request by half of this, and each answer by the other half.
    Slow(Duration),
    /// Holds requests and answers until the mode changes.
    Shut,
    /// Answers each request with 429.
    Busy,
    /// Answers each renewal of a session with 404, as a server does that has
    /// not caught up.
    Forgetful,
}

/// A gate in front of one agent.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// Listens on a free port of this address, and passes requests to `agent`.
    pub(crate) async fn open(listen: Ipv4Addr, agent: SocketAddr) -> Self {
        let listener = TcpListener::bind((listen, 0)).await.expect("open a gate");
        let address = listener.local_addr().expect("an address");
        let (mode, now) = watch::channel(Mode::Open);
        let passage = Passage {
            now,
            agent,
            http: http(),
        };
        let accepting = tokio::spawn(accept(listener, passage));
        Self {
            address,
            mode,
            accepting,
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Passes the requests of one connection to the agent.
#[derive(Clone)]
struct Passage {
    now: watch::Receiver<Mode>,
    agent: SocketAddr,
    http: reqwest::Client,
}

async fn accept(listener: TcpListener, passage: Passage) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, passage.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, passage: Passage) {
    let service = service_fn(|request| passage.clone().pass(request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // An error means that the client or the agent closed the connection.
    drop(connection.await);
}

impl Passage {
    /// Fails if the agent cannot be reached, which closes the connection
    /// without an answer.
    async fn pass(mut self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        if *self.now.borrow() == Mode::Busy {
            let mut answer = Response::new(Full::from("Your IP is issuing too many requests\n"));
            *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            return Ok(answer);
        }
        let is_renewal = head.uri.path().starts_with("/v1/session/renew/");
        if *self.now.borrow() == Mode::Forgetful && is_renewal {
            let mut answer = Response::new(Full::from("Session id not found\n"));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return Ok(answer);
        }
        let url = format!("http://{}{}", self.agent, head.uri);
        let call = self
            .http
            .request(head.method, url)
            .headers(end_to_end(head.headers))
            .timeout(LONGEST_CALL)
            .body(body);
        // A request whose client has stopped waiting arrives all the same, as
        // it does in a real network.
        let mut before = self.clone();
        let asked = tokio::spawn(async move {
            before.held_up().await;
            let answer = call.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        });
        let asked = asked.await.map_err(io::Error::other)?;
        let (status, headers, body) = asked.map_err(io::Error::other)?;
        self.held_up().await;
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = end_to_end(headers);
        Ok(answer)
    }

    async fn held_up(&mut self) {
        let mode = *self.now.borrow();
        if let Mode::Slow(delay) = mode {
            tokio::time::sleep(delay / 2).await;
        }
        // An error means that the gate is gone, so nobody waits for the answer.
        drop(self.now.wait_for(|mode| *mode != Mode::Shut).await);
    }
}

/// Removes the headers that apply to one connection only.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
