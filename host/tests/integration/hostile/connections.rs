//! One client cannot take what others need: connections, health checks, the
//! memory for bodies, and the authority of a signed request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use ring::hmac;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Cluster, Node, SOON, eventually};

/// What an innocent client waits at most.
const INNOCENT_LIMIT: Duration = Duration::from_secs(1);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const INNOCENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Lets this process hold as many connections as the system permits.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("raise a limit");
}

async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(address).await
}

/// Sends a request, and returns what comes until the connection ends or is
/// silent.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    if stream.write_all(request.as_bytes()).await.is_err() {
        return "closed".to_owned();
    }
    let mut answer = vec![0; 4096];
    match tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await {
        Ok(Ok(read)) => String::from_utf8_lossy(&answer[..read]).into_owned(),
        other => format!("{other:?}"),
    }
}

/// The status of the answer to a request of these lines, with an empty body
/// unless they say otherwise.
async fn status_of(node: &Node, lines: &str) -> String {
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let host = &node.address;
    let (first, rest) = lines.split_once("\r\n").unwrap_or((lines, ""));
    let request = format!(
        "{first} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{rest}content-length: 1\r\n\r\nx"
    );
    let answer = exchange(&mut stream, &request).await;
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// An innocent client, each time on a new connection; how long the slowest
/// request took.
async fn innocent(node: &Node, requests: usize) -> Duration {
    let client = reqwest::Client::builder()
        .no_proxy()
        .local_address(std::net::IpAddr::from(INNOCENT))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let mut slowest = Duration::ZERO;
    for number in 0..requests {
        let started = Instant::now();
        let request = client.post(node.url("/api/v1/log"));
        let sent = request.body(format!("Message: {number}")).send();
        let answer = tokio::time::timeout(SOON, sent).await;
        let answer = answer.expect("an answer").unwrap();
        assert_eq!(answer.status(), 200);
        slowest = slowest.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    slowest
}

async fn open_connections(cluster: &Cluster) -> u64 {
    let url = cluster.node(0).url("/metrics");
    let answer = cluster.http.get(url).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("sluice_connections "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_idle_connections_of_one_address_keep_nobody_out() {
    raise_descriptors();
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let address = node.address.parse().unwrap();
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..10_100 {
            held.push(connect_from(ATTACKER, address).await.unwrap());
        }
        held
    };
    let (held, slowest) = tokio::join!(attack, innocent(node, 50));
    assert!(slowest < INNOCENT_LIMIT, "meanwhile: {slowest:?}");
    let slowest = innocent(node, 50).await;
    assert!(slowest < INNOCENT_LIMIT, "afterwards: {slowest:?}");
    let open = open_connections(&cluster).await;
    assert!(open <= 2500 + 10, "{open} are open");
    // 10 s for the head of a request, which never comes.
    eventually("the idle connections are closed", SOON, || async {
        match open_connections(&cluster).await {
            open @ ..10 => Ok(open),
            open => Err(format!("{open} are open")),
        }
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn a_full_server_ends_idle_connections_before_it_keeps_anybody_out() {
    let arguments = [
        "--max-connections",
        "40",
        "--max-connections-per-source",
        "0",
    ];
    let cluster = Cluster::start(1, &arguments).await;
    let node = cluster.node(0);
    let address = node.address.parse().unwrap();
    let mut held = Vec::new();
    for number in 0..80 {
        let mut stream = connect_from(ATTACKER, address).await.unwrap();
        // Some idle after a request, some in the midst of a head.
        let said = match number % 3 {
            0 => "GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n",
            1 => "GET /readyz HTTP/1.1\r\nho",
            _ => "",
        };
        stream.write_all(said.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let slowest = innocent(node, 20).await;
    assert!(slowest < INNOCENT_LIMIT, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_the_health_port_does_not_cost_the_lead() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    let port = node.process.other_port(&node.address);
    let health = SocketAddr::from(([127, 0, 0, 1], port));
    let lock = || async {
        let key = cluster.consul.key("sluice/leader").await.unwrap();
        (key["Session"].clone(), key["LockIndex"].clone())
    };
    let before = lock().await;
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut floods = Vec::new();
    for number in 0_u8..4 {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        // From the agent's own address, too.
        let source = match number % 2 {
            0 => Ipv4Addr::LOCALHOST,
            _ => ATTACKER,
        };
        floods.push(tokio::spawn(async move {
            let mut held = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                let connecting = connect_from(source, health);
                match tokio::time::timeout(INNOCENT_LIMIT, connecting).await {
                    Ok(Ok(stream)) => {
                        held.push_back(stream);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    // No port is free, or it is too much at the moment.
                    _ => tokio::time::sleep(Duration::from_millis(1)).await,
                }
                if held.len() > 300 {
                    held.pop_front();
                }
            }
        }));
    }
    let slowest = innocent(node, 600).await;
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.unwrap();
    }
    let count = count.load(Ordering::Relaxed);
    assert!(count > 10_000, "only {count} connections");
    assert_eq!(lock().await, before, "after {count} connections");
    assert!(slowest < INNOCENT_LIMIT, "{slowest:?}");
}

#[tokio::test]
async fn health_is_asked_on_loopback_where_the_agent_is_local() {
    let arguments = ["--listen", "0.0.0.0:0", "--advertise", "127.0.0.1"];
    let cluster = Cluster::start(1, &[]).await;
    let folder = cluster.folder.path();
    for (more, is_open) in [(&[][..], false), (&["--health-listen", "0.0.0.0:0"], true)] {
        let mut command = cluster.command();
        command
            .args(["node", "--name", "z", "--data-dir"])
            .arg(folder.join("data/z"))
            .args(arguments)
            .args(more);
        let process = crate::support::Process::start("z", folder, &mut command);
        let address = cluster.served_by(&process).await;
        let port = process.other_port(&address);
        let reached = TcpStream::connect((INNOCENT, port)).await.is_ok();
        assert_eq!(reached, is_open, "{more:?}");
    }
}

/// A signature that looks as if it were right until the body has been read.
fn plausible() -> String {
    format!("{}.{}", millis(), "00".repeat(32))
}

fn millis() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

#[tokio::test]
async fn slow_requests_that_are_not_signed_take_no_memory_from_clients() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let mut held = Vec::new();
    for path in [
        "handover/00000000000000000000000000000000",
        "records",
        "dead-letters/remove",
        "step-down",
    ] {
        let mut stream = TcpStream::connect(&node.address).await.unwrap();
        let head = format!(
            "POST /internal/v1/{path} HTTP/1.1\r\nhost: a\r\nsluice-signature: {}\r\n\
             content-length: 20000000\r\n\r\n",
            plausible()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It ends early if the request is refused.
        let body = vec![b'x'; 18_000_000];
        let sending = stream.write_all(&body);
        drop(tokio::time::timeout(Duration::from_secs(2), sending).await);
        held.push(stream);
    }
    for _ in 0..20 {
        let (status, body) = node
            .post("/api/v1/log", "text/plain", "x".repeat(200_000))
            .await;
        assert_eq!(status, 200, "{body}");
    }
}

/// A request as a node or the command line signs it.
struct Signed {
    path: String,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Signed {
    async fn new(cluster: &Cluster, node: &str, path: &str, body: String) -> Self {
        let digest = Sha256::digest(&body);
        let (millis, length, nonce) = (millis(), body.len(), format!("{:016x}", millis()));
        let text = format!(
            "sluice-signature-2\n{millis}\n{nonce}\n{node}\nPOST\n{path}\n{length}\n{}",
            hex::encode(digest)
        );
        let tag = tag(cluster, &text).await;
        let digest = base64::engine::general_purpose::STANDARD.encode(digest);
        Self {
            path: path.to_owned(),
            body,
            headers: vec![
                ("sluice-signature", format!("2.{millis}.{nonce}.{tag}")),
                ("content-digest", format!("sha-256=:{digest}:")),
            ],
        }
    }

    /// The form of the version before.
    async fn old(cluster: &Cluster, path: &str, body: String) -> Self {
        let millis = millis();
        let digest = hex::encode(Sha256::digest(&body));
        let tag = tag(cluster, &format!("{millis}\nPOST\n{path}\n{digest}")).await;
        Self {
            path: path.to_owned(),
            body,
            headers: vec![("sluice-signature", format!("{millis}.{tag}"))],
        }
    }

    async fn send(&self, cluster: &Cluster, node: &Node) -> (u16, String) {
        let mut request = cluster.http.post(node.url(&self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = request.body(self.body.clone()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

async fn tag(cluster: &Cluster, text: &str) -> String {
    let secret = cluster.consul.value("sluice/secret").await.unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, text.as_bytes()))
}

async fn epoch(node: &Node) -> u64 {
    node.status().await.unwrap()["epoch"].as_u64().unwrap()
}

#[tokio::test]
async fn a_captured_step_down_can_be_used_once_on_one_node_for_one_epoch() {
    const PATH: &str = "/internal/v1/step-down";
    let cluster = Cluster::on_consul(2, &[]).await;
    let leader = cluster.leader().await;
    let (leader, other) = (cluster.node(leader), cluster.node(1 - leader));
    let first_epoch = epoch(leader).await;
    let body = |epoch: u64| json!({"to": null, "epoch": epoch}).to_string();

    let old_form = Signed::old(&cluster, PATH, body(first_epoch)).await;
    let (status, text) = old_form.send(&cluster, leader).await;
    assert_eq!(status, 401, "{text}");

    let captured = Signed::new(&cluster, &leader.name, PATH, body(first_epoch)).await;
    let (status, text) = captured.send(&cluster, leader).await;
    assert_eq!(status, 200, "{text}");
    other
        .until("the other node leads", |status| status["role"] == "leader")
        .await;
    let second_epoch = epoch(other).await;
    for _ in 0..10 {
        for node in [leader, other] {
            let (status, text) = captured.send(&cluster, node).await;
            assert_eq!(status, 401, "{}: {text}", node.name);
        }
    }
    // A signature that was never used, for the epoch that is over.
    let late = Signed::new(&cluster, &other.name, PATH, body(first_epoch)).await;
    let (status, text) = late.send(&cluster, other).await;
    assert_eq!(status, 409, "{text}");
    // Another body than the one that was signed.
    let mut forged = Signed::new(&cluster, &other.name, PATH, body(second_epoch)).await;
    forged.body = forged.body.replace("null", "\"aa\"");
    let (status, text) = forged.send(&cluster, other).await;
    assert_eq!(status, 400, "{text}");
    assert_eq!(epoch(other).await, second_epoch);
    assert_eq!(other.status().await.unwrap()["role"], "leader");
}

#[tokio::test]
async fn of_the_old_form_only_transfers_of_journals_are_taken_and_each_once() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    for path in ["/internal/v1/records", "/internal/v1/dead-letters/remove"] {
        let old = Signed::old(&cluster, path, "[]".to_owned()).await;
        let (status, text) = old.send(&cluster, node).await;
        assert_eq!(status, 401, "{path}");
        assert!(text.contains("earlier version"), "{text}");
    }
    let path = "/internal/v1/handover/00000000000000000000000000000000";
    let old = Signed::old(&cluster, path, "no frames".to_owned()).await;
    let (status, text) = old.send(&cluster, node).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("not frames"), "{text}");
    assert_eq!(old.send(&cluster, node).await.0, 401);
}

#[tokio::test]
async fn a_second_authorization_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "right").unwrap();
    let cluster = Cluster::start(1, &["--token-file", file.to_str().unwrap()]).await;
    let node = cluster.node(0);
    let log = |headers: &str| {
        let lines = format!("POST /api/v1/log\r\n{headers}");
        async move { status_of(node, &lines).await }
    };
    let (right, wrong) = (
        "authorization: Bearer right\r\n",
        "authorization: Bearer wrong\r\n",
    );
    assert_eq!(log(right).await, "200");
    assert_eq!(log(wrong).await, "401");
    for both in [[right, wrong], [wrong, right], [right, right]] {
        assert_eq!(log(&both.concat()).await, "400", "{both:?}");
    }
}

#[tokio::test]
async fn what_a_browser_sends_for_another_site_is_refused() {
    let allowed = "https://app.example.com";
    let cluster = Cluster::start(1, &["--allow-origin", allowed]).await;
    let node = cluster.node(0);
    let own = format!("origin: http://{}\r\n", node.address);
    for (headers, expected) in [
        ("", "200"),
        ("sec-fetch-site: same-origin\r\n", "200"),
        ("sec-fetch-site: none\r\n", "200"),
        (own.as_str(), "200"),
        ("origin: https://app.example.com\r\n", "200"),
        (
            "origin: https://app.example.com\r\nsec-fetch-site: cross-site\r\n",
            "200",
        ),
        ("sec-fetch-site: cross-site\r\n", "403"),
        ("sec-fetch-site: same-site\r\n", "403"),
        ("origin: https://evil.example.com\r\n", "403"),
        ("origin: null\r\n", "403"),
    ] {
        for path in ["/api/v1/log", "/api/v1/logs"] {
            let lines = format!("POST {path}\r\ncontent-type: text/plain\r\n{headers}");
            assert_eq!(status_of(node, &lines).await, expected, "{path} {headers}");
        }
        if expected == "403" {
            for path in ["step-down", "records", "dead-letters/remove"] {
                let lines = format!("POST /internal/v1/{path}\r\n{headers}");
                assert_eq!(status_of(node, &lines).await, "403", "{path} {headers}");
            }
            let lines = format!("GET /api/v1/status\r\n{headers}");
            assert_eq!(status_of(node, &lines).await, "200", "{headers}");
        }
    }
}
