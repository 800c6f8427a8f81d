//! Sinks that reach servers, and what they may not reach.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::{any, post};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::sink::verdict;
use crate::support::{Cluster, SOON, eventually};

/// A server that a sink posts to.
struct Destination {
    address: String,
    received: Arc<Received>,
}

#[derive(Default)]
struct Received {
    bodies: std::sync::Mutex<Vec<String>>,
    requests: AtomicUsize,
    connections: AtomicUsize,
}

impl Destination {
    /// Answers its requests with these in turn: a status, or nothing at all.
    async fn start(answers: &'static [Option<u16>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received: Arc<Received> = Arc::default();
        let take = move |State(received): State<Arc<Received>>, body: String| async move {
            let number = received.requests.fetch_add(1, Ordering::Relaxed);
            let Some(status) = answers[number % answers.len()] else {
                return std::future::pending().await;
            };
            if status == 200 {
                received.bodies.lock().unwrap().push(body);
            }
            StatusCode::from_u16(status).unwrap()
        };
        let router = Router::new()
            .route("/logs", post(take))
            .route("/hello", any(|| async { "hello" }))
            .route("/secret", any(authorization))
            .route(
                "/away",
                any(|| async { Redirect::temporary("http://127.0.0.2:1/") }),
            )
            .route(
                "/hang",
                any(|| async { std::future::pending::<()>().await }),
            )
            .with_state(Arc::clone(&received));
        let counted = Arc::clone(&received);
        let counting = axum::serve::ListenerExt::tap_io(listener, move |_: &mut TcpStream| {
            counted.connections.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(async move { axum::serve(counting, router).await });
        Self { address, received }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The messages of all bodies, and how many there were.
    fn messages(&self) -> (BTreeSet<String>, usize) {
        let bodies = self.received.bodies.lock().unwrap();
        let lines = bodies.iter().flat_map(|body| body.lines());
        let messages: Vec<_> = lines.map(body_of).collect();
        let count = messages.len();
        (messages.into_iter().collect(), count)
    }
}

/// Tells which header arrived, in a way that the test recognises.
async fn authorization(headers: HeaderMap) -> String {
    let value = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap());
    value.unwrap_or("none").replace("secret", "SECRET")
}

fn body_of(line: &str) -> String {
    let record: Value = serde_json::from_str(line).unwrap();
    record["body"].as_str().unwrap().to_owned()
}

impl Cluster {
    /// Runs the sink of these tests with these permissions.
    async fn runs_network_sink(&self, config: Value, http: &[&str], timeout_ms: u64) {
        let permissions = json!({"http": http});
        let limits = json!({"write_timeout_ms": timeout_ms});
        self.runs_with(config, permissions, limits).await;
    }

    pub(crate) async fn runs_with(&self, config: Value, permissions: Value, limits: Value) {
        let manifest = json!({
            "source": self.plugin("network", "network.wasm"),
            "config": config,
            "permissions": permissions,
            "limits": limits,
            "rollout": {"probation_s": 0},
        });
        self.ask(&manifest.to_string()).await;
        self.runs_what_is_asked_for().await;
    }

    /// Lets the sink try what a message says, and returns what came of it.
    pub(crate) async fn tries(&self, attempt: &str) -> String {
        self.sends(&[attempt.to_owned()]).await;
        let output = self.output();
        let start = format!("{attempt}: ");
        let mut lines = output.lines().rev();
        let outcome = lines.find_map(|line| line.strip_prefix(&start));
        outcome
            .unwrap_or_else(|| panic!("{attempt}: {output}"))
            .to_owned()
    }

    /// Sends lines, which are acknowledged.
    async fn sends(&self, lines: &[String]) {
        let node = self.node(0);
        let sent = self.http.post(node.url("/api/v1/logs"));
        let sent = sent.header("content-type", "text/plain");
        let answer = sent.body(lines.join("\n")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    }
}

fn numbered(from: usize, count: usize) -> Vec<String> {
    (from..from + count)
        .map(|number| format!("message {number}"))
        .collect()
}

#[tokio::test]
async fn a_sink_posts_its_batches_on_one_connection() {
    let destination = Destination::start(&[Some(200)]).await;
    let origin = destination.origin();
    let cluster = Cluster::start(1, &["--allow-http", &origin]).await;
    let config = json!({"post": format!("{origin}/logs")});
    for round in 0..3 {
        // Each is another sink, with instances of its own.
        let config = json!({"post": config["post"], "round": round});
        cluster.runs_network_sink(config, &[&origin], 5000).await;
        for part in 0..3 {
            cluster
                .sends(&numbered(round * 3000 + part * 1000, 1000))
                .await;
        }
    }
    let (messages, count) = destination.messages();
    assert_eq!(messages, numbered(0, 9000).into_iter().collect());
    assert_eq!(count, 9000, "each was delivered once");
    // Another one only if an answer was not read to its end in time.
    let connections = destination.received.connections.load(Ordering::Relaxed);
    assert!(connections <= 3, "{connections} connections for 9 requests");
}

#[tokio::test]
async fn a_destination_that_fails_or_hangs_loses_nothing() {
    let answers = &[Some(500), Some(200), None, Some(429), Some(200), Some(200)];
    let destination = Destination::start(answers).await;
    let origin = destination.origin();
    let cluster = Cluster::start(1, &["--allow-http", &origin]).await;
    let config = json!({"post": format!("{origin}/logs")});
    cluster.runs_network_sink(config, &[&origin], 500).await;
    for part in 0..6 {
        cluster.sends(&numbered(part * 100, 100)).await;
    }
    let (messages, _) = destination.messages();
    assert_eq!(messages, numbered(0, 600).into_iter().collect());
}

#[tokio::test]
async fn a_request_that_its_instance_does_not_end_never_looks_complete() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let cluster = Cluster::start(1, &["--allow-http", &origin]).await;
    let permissions = json!({"http": [origin]});
    cluster.runs_with(json!({}), permissions, json!({})).await;
    let node = cluster.node(0);
    let receiving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        // Until the node ends the connection.
        drop(stream.read_to_end(&mut received).await);
        String::from_utf8(received).unwrap()
    });
    let attempt = format!("CUT {origin}/logs");
    eventually("a part of a body arrives", SOON, || async {
        // The sink may trap before there is a connection.
        let (status, body) = verdict(node, &attempt).await;
        assert_eq!(status, 422, "{body}");
        match receiving.is_finished() {
            true => Ok(()),
            false => Err("nothing yet".to_owned()),
        }
    })
    .await;
    let received = receiving.await.unwrap();
    assert!(
        received.contains("transfer-encoding: chunked"),
        "{received}"
    );
    assert!(received.contains("half"), "{received}");
    assert!(!received.contains("\r\n0\r\n"), "{received}");
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

/// A server that sends back what it gets.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

/// What a sink tries, and what comes of it.
fn attempts(destination: &str, echo: &str, other: u16) -> Vec<(String, &'static str)> {
    let tcp_denied = "failed: Permission denied";
    let denied = "HttpRequestDenied";
    let prohibited = "DestinationIpProhibited";
    vec![
        (format!("GET http://{destination}/hello"), "done: 200 hello"),
        // A redirect is not followed.
        (format!("GET http://{destination}/away"), "done: 307"),
        // Not listed: another scheme, port, host, or a name in front of the host.
        (format!("GET https://{destination}/hello"), denied),
        (format!("GET http://127.0.0.1:{other}/"), denied),
        (format!("GET http://127.0.0.2:{other}/"), denied),
        (
            format!("GET http://{destination}@127.0.0.1:{other}/"),
            denied,
        ),
        (format!("GET http://me@{destination}/hello"), denied),
        (
            format!("GET http://me:password@{destination}/hello"),
            denied,
        ),
        (format!("GET http://localhost.:{other}/"), prohibited),
        ("GET http://2130706433/".to_owned(), denied),
        (
            format!("GET ftp://{destination}/hello"),
            "HttpProtocolError",
        ),
        ("GET http:///hello".to_owned(), "failed"),
        (
            format!("GET http://{}{destination}/hello", "a".repeat(300)),
            "not a valid target",
        ),
        // Listed, and allowed only if the addresses are public.
        (format!("GET http://localhost:{other}/"), prohibited),
        (format!("GET http://[::1]:{other}/"), prohibited),
        (
            format!("GET http://[::ffff:127.0.0.1]:{other}/"),
            prohibited,
        ),
        (
            "GET http://169.254.169.254/latest/meta-data/".to_owned(),
            prohibited,
        ),
        ("GET http://10.0.0.1/".to_owned(), prohibited),
        ("GET http://192.168.0.1/".to_owned(), prohibited),
        ("GET http://100.100.100.200/".to_owned(), prohibited),
        ("GET http://[fd00:ec2::254]/".to_owned(), prohibited),
        ("GET http://[fe80::1]/".to_owned(), prohibited),
        ("GET http://224.0.0.1/".to_owned(), prohibited),
        ("GET http://0.0.0.0/".to_owned(), prohibited),
        // The same over TCP.
        (format!("TCP {echo}"), "done: hello"),
        (format!("TCP localhost:{}", port_of(echo)), "done: hello"),
        (format!("TCP 127.0.0.1:{other}"), tcp_denied),
        (format!("TCP 127.0.0.2:{}", port_of(echo)), tcp_denied),
        (format!("TCP localhost:{other}"), tcp_denied),
        (format!("TCP [::1]:{other}"), tcp_denied),
        ("TCP 169.254.169.254:80".to_owned(), tcp_denied),
        ("TCP 10.0.0.1:25".to_owned(), tcp_denied),
        (format!("TCP {destination}"), tcp_denied),
        ("LOOKUP localhost".to_owned(), "done: "),
        ("LOOKUP localhost.localdomain".to_owned(), "failed"),
        (
            "LOOKUP what-the-sink-knows.example.com".to_owned(),
            "failed",
        ),
        ("UDP 127.0.0.1:53".to_owned(), "failed"),
        ("LISTEN 127.0.0.1:0".to_owned(), tcp_denied),
        (format!("LISTEN 0.0.0.0:{other}"), tcp_denied),
        ("LISTEN 0.0.0.0:0".to_owned(), tcp_denied),
        (format!("TRACE http://{destination}/hello"), denied),
        (format!("track http://{destination}/hello"), denied),
        (
            format!("{} http://{destination}/hello", "X".repeat(33)),
            "not a valid target",
        ),
        // More at a time than there may be.
        (
            format!("MANY http://{destination}/hang"),
            "ConnectionLimitReached",
        ),
    ]
}

#[tokio::test]
async fn what_a_sink_may_not_reach_is_refused_counted_and_logged() {
    let destination = Destination::start(&[Some(200)]).await;
    // Nobody connects here.
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    let origin = destination.origin();
    let echo = echo().await;
    let echo_by_name = format!("localhost:{}", port_of(&echo));
    let named = format!("{echo},{echo_by_name}");
    let flags = [
        "--allow-http",
        &origin,
        "--allow-http",
        "*",
        "--allow-tcp",
        &named,
        "--allow-tcp",
        "*",
    ];
    let cluster = Cluster::start(1, &flags).await;
    let tcp = [
        echo.clone(),
        echo_by_name,
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "169.254.169.254:80".to_owned(),
        "10.0.0.1:25".to_owned(),
    ];
    let listed = [
        origin.clone(),
        format!("http://localhost:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        "http://169.254.169.254".to_owned(),
        "http://10.0.0.1".to_owned(),
        "http://192.168.0.1".to_owned(),
        "http://100.100.100.200".to_owned(),
        "http://[fd00:ec2::254]".to_owned(),
        "http://[fe80::1]".to_owned(),
        "http://224.0.0.1".to_owned(),
        "http://0.0.0.0".to_owned(),
    ];
    let permissions = json!({"http": listed, "tcp": tcp});
    cluster.runs_with(json!({}), permissions, json!({})).await;
    let attempts = attempts(&destination.address, &echo, port);
    let node = cluster.node(0);
    for (attempt, expected) in &attempts {
        let before = refused(&cluster).await;
        let outcome = cluster.tries(attempt).await;
        assert!(outcome.contains(expected), "{attempt}: {outcome}");
        let is_refusal = !expected.starts_with("done")
            && !["ftp:", "http:///", "aaaa", "XXXX"]
                .iter()
                .any(|name| attempt.contains(name));
        let after = refused(&cluster).await;
        assert_eq!(after > before, is_refusal, "{attempt}: {before}, {after}");
    }
    let log = node.process.stderr();
    let told = log.matches("refused what a sink tried").count();
    assert!(told >= 30, "{told} refusals in the log");
    assert!(!log.contains("password"), "{log}");
    let came = tokio::time::timeout(Duration::ZERO, other.accept()).await;
    assert!(came.is_err(), "somebody connected");
}

/// How many refusals the metrics count, of all kinds.
async fn refused(cluster: &Cluster) -> u64 {
    let node = cluster.node(0);
    let answer = cluster.http.get(node.url("/metrics")).send().await.unwrap();
    let metrics = answer.text().await.unwrap();
    let samples = metrics
        .lines()
        .filter(|line| line.starts_with("sluice_sink_refused_total{"));
    let counts = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    counts.sum()
}

#[tokio::test]
async fn the_node_adds_a_secret_that_the_sink_never_sees() {
    let destination = Destination::start(&[Some(200)]).await;
    let other = Destination::start(&[Some(200)]).await;
    let (origin, other) = (destination.origin(), other.origin());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "secret one\n").unwrap();
    let secret = format!("TOKEN={},{origin}", file.display());
    let flags = [
        "--allow-http",
        &origin,
        "--allow-http",
        &other,
        "--secret",
        &secret,
    ];
    let cluster = Cluster::start(1, &flags).await;
    let value = json!({"Authorization": {"secret": "TOKEN", "prefix": "Bearer "}});
    let manifest = |origins: &str| {
        let source = cluster.plugin("network", "network.wasm");
        let permissions = json!({"http": [origin, other], "headers": {origins: value}});
        json!({"source": source, "permissions": permissions}).to_string()
    };
    // For another origin there is no such secret.
    cluster.ask(&manifest(&other)).await;
    let node = cluster.node(0);
    node.until("the status names the flag", |status| {
        let error = status["plugin"]["error"].as_str().unwrap_or_default();
        error.contains(&format!("--secret TOKEN=FILE,{other}"))
    })
    .await;
    cluster.ask(&manifest(&origin)).await;
    cluster.runs_what_is_asked_for().await;
    for (target, expected) in [(&origin, "Bearer SECRET one"), (&other, "none")] {
        let attempt = format!("GET {target}/secret");
        cluster.sends(std::slice::from_ref(&attempt)).await;
        let line = format!("{attempt}: done: 200 {expected}\n");
        assert!(cluster.output().contains(&line), "{}", cluster.output());
    }
    fs::write(&file, "secret two").unwrap();
    eventually("the new secret is sent", SOON, || async {
        cluster.sends(&[format!("GET {origin}/secret")]).await;
        match cluster.output().contains("Bearer SECRET two") {
            true => Ok(()),
            false => Err(cluster.output()),
        }
    })
    .await;
    let status = node.status().await.unwrap().to_string();
    for shown in [node.process.stderr(), status, cluster.output()] {
        assert!(
            !shown.contains("secret one") && !shown.contains("secret two"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_manifest_cannot_ask_for_more_than_the_node_allows() {
    let cluster = Cluster::start(1, &["--allow-http", "http://127.0.0.1:1"]).await;
    let manifest = json!({
        "source": cluster.plugin("network", "network.wasm"),
        "permissions": {"http": ["http://127.0.0.1:1", "http://127.0.0.1:2"]},
    });
    cluster.ask(&manifest.to_string()).await;
    let node = cluster.node(0);
    eventually("the status says why", SOON, || async {
        let status = node.status().await?;
        let error = status["plugin"]["error"].as_str().unwrap_or_default();
        match error.contains("--allow-http http://127.0.0.1:2") {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    })
    .await;
    // The sink of before still runs.
    cluster.sends(&["a".to_owned()]).await;
}
