//! Requests that claim an authority which they do not have: captured or forged
//! signatures, two authorizations, and web pages of other sites.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use ring::hmac;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::measure::{Innocent, Measure};
use crate::support::{Cluster, Node};

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

/// The lengths of bodies that together fill a budget for bodies, also the one
/// for clients: each fits in what those before it leave, and 64 KiB are left of
/// 80 MiB. No route for nodes takes a longer one.
const FILLING: [usize; 11] = [
    32 << 20,
    32 << 20,
    16 << 20,
    8 << 20,
    4 << 20,
    2 << 20,
    1 << 20,
    512 << 10,
    256 << 10,
    128 << 10,
    64 << 10,
];

/// Begins a request that is not signed, and sends half of its body. Returns the
/// connection unless the request is refused before that.
async fn begin(node: &Node, path: &str, length: usize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let head = format!(
        "POST /internal/v1/{path} HTTP/1.1\r\nhost: a\r\nsluice-signature: {}\r\n\
         content-length: {length}\r\n\r\n",
        plausible()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A node that takes it answers nothing.
    let mut byte = [0];
    let answer = tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut byte));
    if answer.await.is_ok() {
        return None;
    }
    let body = vec![b'x'; length / 2];
    let sending = stream.write_all(&body);
    drop(tokio::time::timeout(Duration::from_secs(2), sending).await);
    Some(stream)
}

#[tokio::test]
async fn slow_requests_that_are_not_signed_take_no_memory_from_clients() {
    // Those that are taken last until the clients have been served.
    let cluster = Cluster::start(1, &["--request-timeout", "60s"]).await;
    let node = cluster.node(0);
    let attack = async {
        let mut held = Vec::new();
        for path in [
            "handover/00000000000000000000000000000000",
            "records",
            "dead-letters/remove",
            "step-down",
        ] {
            // The second time fills what is left if some came in another order.
            for length in FILLING.into_iter().chain(FILLING) {
                held.extend(begin(node, path, length).await);
            }
        }
        assert!(!held.is_empty(), "all were refused");
        held
    };
    let measure = Measure::of(&cluster);
    let held = measure.attack("slow requests, not signed", attack).await;
    for _ in 0..20 {
        let (status, body) = node
            .post("/api/v1/log", "text/plain", "x".repeat(200_000))
            .await;
        assert_eq!(status, 200, "{body}");
    }
    drop(held);
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
    // The role can be seen before the epoch.
    let leads =
        |status: &Value| status["role"] == "leader" && status["epoch"].as_u64() > Some(first_epoch);
    other.until("the other node leads", leads).await;
    let second_epoch = epoch(other).await;
    let attack = async {
        for _ in 0..10 {
            for node in [leader, other] {
                let (status, text) = captured.send(&cluster, node).await;
                assert_eq!(status, 401, "{}: {text}", node.name);
            }
        }
    };
    let measure = Measure::of(&cluster);
    measure.attack("a captured step-down", attack).await;
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
    let attack = async {
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
    };
    let measure = Measure::of(&cluster);
    measure.attack("signatures of the old form", attack).await;
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
    let attack = async {
        for both in [[right, wrong], [wrong, right], [right, right]] {
            assert_eq!(log(&both.concat()).await, "400", "{both:?}");
        }
    };
    // Only this needs no token.
    let measure = Measure::of(&cluster).innocent(Innocent::Asks);
    measure.attack("two authorizations", attack).await;
}

#[tokio::test]
async fn what_a_browser_sends_for_another_site_is_refused() {
    let allowed = "https://app.example.com";
    let cluster = Cluster::start(1, &["--allow-origin", allowed]).await;
    let node = cluster.node(0);
    let own = format!("origin: http://{}\r\n", node.address);
    let attack = async {
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
    };
    let measure = Measure::of(&cluster);
    measure.attack("web pages of other sites", attack).await;
}
