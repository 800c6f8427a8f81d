//! Sinks that write several batches at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::Cluster;

/// How long the server takes for a request: so long that all places are taken
/// meanwhile, also on a busy machine.
const LATENCY: Duration = Duration::from_millis(200);
const REQUESTS: usize = 48;
const BATCH: usize = 1000;

/// A server that takes its time.
struct Server {
    origin: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    bodies: std::sync::Mutex<Vec<String>>,
    requests: AtomicUsize,
    under_way: AtomicUsize,
    /// The most requests that were under way at a time.
    most: AtomicUsize,
}

impl Server {
    /// Answers requests with these in turn: a status, or nothing at all.
    async fn start(answers: &'static [Option<u16>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Seen> = Arc::default();
        let take = move |State(seen): State<Arc<Seen>>, body: String| async move {
            let number = seen.requests.fetch_add(1, Ordering::Relaxed);
            let now = seen.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            seen.most.fetch_max(now, Ordering::Relaxed);
            let guard = UnderWay(&seen.under_way);
            tokio::time::sleep(LATENCY).await;
            let Some(status) = answers[number % answers.len()] else {
                return std::future::pending().await;
            };
            if status == 200 {
                seen.bodies.lock().unwrap().push(body);
            }
            drop(guard);
            StatusCode::from_u16(status).unwrap()
        };
        let router = Router::new()
            .route("/logs", post(take))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, seen }
    }

    /// The manifest of a sink that posts to this server.
    fn manifest(&self, cluster: &Cluster, concurrency: usize, timeout_ms: u64) -> String {
        let manifest = json!({
            "source": cluster.plugin("network", "network.wasm"),
            "config": {"post": format!("{}/logs", self.origin)},
            "permissions": {"http": [self.origin]},
            "limits": {"concurrency": concurrency, "write_timeout_ms": timeout_ms},
            // The server fails on purpose; the default sink must not come back.
            "rollout": {"probation_s": 0},
        });
        manifest.to_string()
    }

    /// The messages that arrived, and how many there were with repeats.
    fn messages(&self) -> (BTreeSet<String>, usize) {
        let bodies = self.seen.bodies.lock().unwrap();
        let lines = bodies.iter().flat_map(|body| body.lines());
        let messages: Vec<_> = lines.map(body_of).collect();
        let count = messages.len();
        (messages.into_iter().collect(), count)
    }
}

/// A request that the server has not answered, until it has or the client has
/// gone.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn body_of(line: &str) -> String {
    let record: Value = serde_json::from_str(line).unwrap();
    record["body"].as_str().unwrap().to_owned()
}

/// All messages of a round, by request.
fn messages(round: usize, requests: usize, batch: usize) -> Vec<Vec<String>> {
    let message = |request, number| format!("message {round}-{request}-{number}");
    let lines = |request| (0..batch).map(|number| message(request, number)).collect();
    (0..requests).map(lines).collect()
}

impl Cluster {
    /// Sends these requests at the same time. All are acknowledged.
    async fn sends_at_once(&self, requests: &[Vec<String>]) {
        let url = self.node(0).url("/api/v1/logs");
        let sending = requests.iter().map(|lines| async {
            let request = self.http.post(&url).header("content-type", "text/plain");
            let answer = request.body(lines.join("\n")).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
        });
        join_all(sending).await;
    }
}

#[tokio::test]
async fn a_sink_has_as_many_requests_under_way_as_its_manifest_says() {
    for concurrency in [1, 4, 16] {
        let server = Server::start(&[Some(200)]).await;
        let flags = ["--allow-http", &server.origin];
        let cluster = Cluster::start(1, &flags).await;
        cluster
            .ask(&server.manifest(&cluster, concurrency, 10_000))
            .await;
        cluster.runs_what_is_asked_for().await;
        let sent = messages(concurrency, REQUESTS, BATCH);
        let started = Instant::now();
        cluster.sends_at_once(&sent).await;
        let took = started.elapsed();
        let rate = (REQUESTS * BATCH) as f64 / took.as_secs_f64();
        println!("concurrency {concurrency}, {LATENCY:?} of latency: {rate:.0} records/s");
        let (arrived, count) = server.messages();
        assert_eq!(count, REQUESTS * BATCH, "each was delivered once");
        assert_eq!(arrived, sent.into_iter().flatten().collect());
        assert_eq!(server.seen.most.load(Ordering::Relaxed), concurrency);
    }
}

#[tokio::test]
async fn a_server_that_fails_and_hangs_at_times_loses_nothing_of_many_writes() {
    let answers = &[Some(200), Some(200), Some(500), Some(200), Some(429), None];
    let server = Server::start(answers).await;
    let flags = ["--allow-http", &server.origin];
    let cluster = Cluster::start(1, &flags).await;
    cluster.ask(&server.manifest(&cluster, 8, 1000)).await;
    cluster.runs_what_is_asked_for().await;
    let sent = messages(0, REQUESTS, 100);
    for requests in sent.chunks(8) {
        cluster.sends_at_once(requests).await;
    }
    let (arrived, _) = server.messages();
    assert_eq!(arrived, sent.into_iter().flatten().collect());
}
