//! What Consul's check asks: does the control loop turn, and does a leader
//! reach its agent?

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::heartbeat::Heartbeat;
use super::role::Role;
use super::view::View;
use sluice_consul::Client;
use sluice_types::clock::BootTime;

/// A leader that its agent has not answered for so long can neither prove that
/// it holds the lock nor release it. The agent can, if it sees that: the session
/// is bound to the check.
const UNANSWERED: Duration = Duration::from_secs(5);
/// An agent that comes back asks before it answers: its first checks are not told of its silence.
/// They belong together if no more than this lies between them.
const FIRST: Duration = Duration::from_secs(2);
const APART: Duration = Duration::from_secs(3);
/// The time for the head of a request.
const HEAD: Duration = Duration::from_secs(1);
/// Connections that are served at once; an agent needs one.
const CONNECTIONS: usize = 32;

/// What health depends on.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub(super) heartbeat: Arc<Heartbeat>,
    pub(super) client: Client,
    pub(super) role: watch::Receiver<Role>,
    pub(super) view: watch::Receiver<View>,
    pub(super) asked: Arc<Mutex<Asked>>,
}

/// Since when, and when last, it was asked without a long pause.
#[derive(Debug, Default)]
pub(super) struct Asked {
    since: BootTime,
    last: BootTime,
}

impl Asked {
    /// For how long the agent has been asking.
    fn again(&mut self, now: BootTime) -> Duration {
        if now.since(self.last) > APART {
            self.since = now;
        }
        self.last = now;
        now.since(self.since)
    }
}

impl Health {
    /// What is wrong, if anything is.
    fn complaint(&self) -> Option<&'static str> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_for = asked.again(BootTime::now());
        drop(asked);
        if !self.heartbeat.is_alive() {
            return Some("the control loop stands still");
        }
        // Any answer counts: a Consul without a leader takes no node's lock.
        let holds = matches!(*self.role.borrow(), Role::Leader(_)) || self.view.borrow().releasing;
        let is_lost = holds && asked_for >= FIRST && self.client.unanswered_for() >= UNANSWERED;
        is_lost.then_some("this node may hold the lock, and its Consul agent does not answer it")
    }
}

/// Answers `GET /healthz` until it is dropped.
pub(super) async fn serve(listener: TcpListener, health: Health) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            // Whoever holds them all must not keep the agent out.
            connections.abort_all();
        }
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a health check");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let health = health.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, health.complaint()));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "a health check ended with an error");
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    complaint: Option<&'static str>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match (request.uri().path(), complaint) {
        ("/healthz", None) => (StatusCode::OK, "OK"),
        ("/healthz", Some(complaint)) => (StatusCode::SERVICE_UNAVAILABLE, complaint),
        _ => (StatusCode::NOT_FOUND, "only /healthz is here"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_begins_the_asking_anew() {
        let mut asked = Asked::default();
        let mut again = |second: u64| asked.again(BootTime::from_nanos(second * 1_000_000_000));
        for (second, seconds) in [(10, 0), (11, 1), (13, 3), (16, 6), (20, 0), (21, 1)] {
            assert_eq!(again(second), Duration::from_secs(seconds), "at {second}");
        }
    }
}
