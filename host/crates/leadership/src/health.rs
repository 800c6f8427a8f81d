//! Answers Consul's health check: whether the control loop runs, and whether a
//! node that may hold the lock hears from its agent.

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

/// How long the agent may leave a leader without an answer. After that, the
/// leader can neither prove that it holds the lock nor release it. The agent
/// can, if the check fails: the session is bound to it.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);
/// A restarted agent runs its checks before answering, so its silence does not
/// count during this time.
const FIRST_CHECKS: Duration = Duration::from_secs(2);
/// The longest pause between checks of one run of the agent.
const CHECK_GAP_LIMIT: Duration = Duration::from_secs(3);
/// The time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that are served at once; an agent needs one.
const CONNECTION_LIMIT: usize = 32;

/// What health depends on.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub(super) heartbeat: Arc<Heartbeat>,
    pub(super) client: Client,
    pub(super) role: watch::Receiver<Role>,
    pub(super) view: watch::Receiver<View>,
    pub(super) asked: Arc<Mutex<Asked>>,
}

/// When the current series of checks, without a long pause, began, and when the
/// last check was.
#[derive(Debug, Default)]
pub(super) struct Asked {
    since: BootTime,
    last: BootTime,
}

impl Asked {
    /// For how long the agent has been asking.
    fn again(&mut self, now: BootTime) -> Duration {
        if now.since(self.last) > CHECK_GAP_LIMIT {
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
        let is_leader = matches!(*self.role.borrow(), Role::Leader(_));
        let condition = Condition {
            is_loop_alive: self.heartbeat.is_alive(),
            may_hold_lock: is_leader || self.view.borrow().releasing,
            asked_for,
            // Any answer counts: without a leader of its own, Consul gives the
            // lock to no other node.
            unanswered_for: self.client.unanswered_for(),
        };
        condition.complaint()
    }
}

/// What a check finds.
#[derive(Clone, Copy, Debug)]
struct Condition {
    is_loop_alive: bool,
    may_hold_lock: bool,
    /// For how long this run of the agent has been checking.
    asked_for: Duration,
    /// For how long the agent has given this node no answer.
    unanswered_for: Duration,
}

impl Condition {
    fn complaint(self) -> Option<&'static str> {
        if !self.is_loop_alive {
            return Some("the control loop makes no progress");
        }
        let is_silent = self.asked_for >= FIRST_CHECKS && self.unanswered_for >= SILENCE_LIMIT;
        (self.may_hold_lock && is_silent)
            .then_some("this node may hold the lock, and its Consul agent does not answer it")
    }
}

/// Answers `GET /healthz` until it is dropped.
pub(super) async fn serve(listener: TcpListener, health: Health) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTION_LIMIT {
            // A client that holds them all must not keep the agent out.
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
                .header_read_timeout(HEAD_TIMEOUT)
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
    fn a_pause_starts_another_run_of_checks() {
        let mut asked = Asked::default();
        let mut again = |second: u64| asked.again(BootTime::from_nanos(second * 1_000_000_000));
        for (second, seconds) in [(10, 0), (11, 1), (13, 3), (16, 6), (20, 0), (21, 1)] {
            assert_eq!(again(second), Duration::from_secs(seconds), "at {second}");
        }
    }

    /// A leader that has had no answer for a while.
    const SILENT: Condition = Condition {
        is_loop_alive: true,
        may_hold_lock: true,
        asked_for: FIRST_CHECKS,
        unanswered_for: SILENCE_LIMIT,
    };

    #[test]
    fn only_the_silence_of_the_agent_to_a_leader_is_unhealthy() {
        assert!(SILENT.complaint().unwrap().contains("does not answer"));
        let just_before = |limit: Duration| limit.checked_sub(Duration::from_nanos(1)).unwrap();
        for healthy in [
            Condition {
                may_hold_lock: false,
                ..SILENT
            },
            Condition {
                asked_for: just_before(FIRST_CHECKS),
                ..SILENT
            },
            Condition {
                unanswered_for: just_before(SILENCE_LIMIT),
                ..SILENT
            },
        ] {
            assert_eq!(healthy.complaint(), None, "{healthy:?}");
        }
    }

    #[test]
    fn a_loop_that_stands_still_is_unhealthy_on_every_node() {
        let still = Condition {
            is_loop_alive: false,
            may_hold_lock: false,
            asked_for: Duration::ZERO,
            unanswered_for: Duration::ZERO,
        };
        assert!(still.complaint().unwrap().contains("no progress"));
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn the_route_answers_by_the_heartbeat() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // A client cannot be built without one, even if it speaks plain HTTP. Another
        // test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = sluice_consul::Config::from_variables(|_| None).unwrap();
        let heartbeat = Arc::new(Heartbeat::default());
        let health = Health {
            heartbeat: Arc::clone(&heartbeat),
            client: Client::new(config).unwrap(),
            role: watch::channel(Role::Follower { leader: None }).1,
            view: watch::channel(View::default()).1,
            asked: Arc::default(),
        };
        let serving = tokio::spawn(serve(listener, health));
        let unhealthy = "HTTP/1.1 503 Service Unavailable";
        assert_eq!(get(address, "/healthz").await, unhealthy);
        heartbeat.beat();
        assert_eq!(get(address, "/healthz").await, "HTTP/1.1 200 OK");
        assert_eq!(get(address, "/other").await, "HTTP/1.1 404 Not Found");
        serving.abort();
    }
}
