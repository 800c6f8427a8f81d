//! Repeats through another leader, with `--ack journal --journal nats://…`: what an
//! earlier leader has stored is acknowledged, and not delivered again.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::journal::{cluster, down};
use crate::support::{Cluster, Nats, Node, Options, Port, SOON, eventually, sluice};

const LATER: Duration = Duration::from_secs(60);

async fn nodes(count: usize, nats: &Nats, arguments: &[&str]) -> Cluster {
    let url = nats.url();
    let arguments = [&["--journal", url.as_str()][..], arguments].concat();
    cluster(count, "write 1 in 1", &arguments).await
}

/// Sends text under an id; returns the status, and whether the answer says that it was
/// acknowledged before.
async fn sent(node: &Node, path: &str, id: &str, text: &str) -> (u16, bool) {
    let request = node
        .http
        .post(node.url(path))
        .header("content-type", "text/plain");
    let request = request
        .header("sluice-message-id", id)
        .body(text.to_owned());
    let answer = request.send().await.unwrap();
    let is_duplicate = answer.headers().get("sluice-duplicate");
    let is_duplicate = is_duplicate.is_some_and(|value| value == "true");
    (answer.status().as_u16(), is_duplicate)
}

/// The same to the node that leads, until it is acknowledged; true if it was before.
async fn acknowledged(cluster: &Cluster, path: &str, id: &str, text: &str) -> bool {
    eventually("the leader acknowledges", LATER, || async {
        let leader = cluster.leader_within(LATER).await;
        match sent(cluster.node(leader), path, id, text).await {
            (200, is_duplicate) => Ok(is_duplicate),
            (status, _) => Err(status.to_string()),
        }
    })
    .await
}

async fn one(cluster: &Cluster, id: &str, text: &str) -> bool {
    acknowledged(cluster, "/api/v1/log", id, text).await
}

async fn delivered(cluster: &Cluster, text: &str) {
    eventually(&format!("{text:?} is delivered"), LATER, || async {
        match count(cluster, text) {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

fn count(cluster: &Cluster, text: &str) -> usize {
    count_in(&cluster.output(), text)
}

fn count_in(output: &str, text: &str) -> usize {
    output.lines().filter(|line| *line == text).count()
}

/// Kills the leader, and waits for the next one. Returns what was delivered so far.
async fn next_leader(cluster: &mut Cluster) -> String {
    let first = cluster.leader().await;
    cluster.nodes[first].process.kill();
    let output = cluster.output();
    cluster.nodes.remove(first);
    cluster.leader_within(LATER).await;
    output
}

async fn verified(cluster: &Cluster, nats: &Nats) -> String {
    let url = nats.url();
    let (code, out, err) = sluice(cluster, &["journal", "verify", "--journal", &url]).await;
    assert_eq!(code, Some(0), "{out} {err}");
    assert!(out.contains("whole"), "{out}");
    out
}

async fn settled(cluster: &Cluster, nats: &Nats) {
    eventually("all is settled", LATER, || async {
        let out = verified(cluster, nats).await;
        match out.contains("to deliver 0") {
            true => Ok(()),
            false => Err(out),
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_leader_acknowledged_is_not_delivered_again() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(2, &nats, &["--follower", "forward"]).await;
    assert!(!one(&cluster, "1", "once").await);
    assert!(!acknowledged(&cluster, "/api/v1/logs", "2", "first\nsecond\n").await);
    assert!(one(&cluster, "1", "once").await);
    let follower = cluster.follower().await;
    let through_follower = sent(cluster.node(follower), "/api/v1/log", "1", "once").await;
    assert_eq!(through_follower, (200, true));
    delivered(&cluster, "second").await;
    // The messages that had the ids are removed.
    eventually("the log is nearly empty", LATER, || async {
        let out = verified(&cluster, &nats).await;
        match out.contains("records    0") {
            true => Ok(()),
            false => Err(out),
        }
    })
    .await;
    // And these are still there.
    for number in 0..20 {
        let text = format!("number {number}");
        assert!(!one(&cluster, &text, &text).await);
    }
    verified(&cluster, &nats).await;
    let before = next_leader(&mut cluster).await;
    assert!(one(&cluster, "1", "once").await);
    assert!(acknowledged(&cluster, "/api/v1/logs", "2", "first\nsecond\n").await);
    for number in 0..20 {
        let text = format!("number {number}");
        assert!(one(&cluster, &text, &text).await, "{text}");
    }
    // Other content, or another id, is another message.
    assert!(!one(&cluster, "1", "another").await);
    assert!(!one(&cluster, "3", "the last one").await);
    delivered(&cluster, "the last one").await;
    let all = before.clone() + &cluster.output();
    for text in ["once", "first", "second", "another"] {
        assert_eq!(count_in(&all, text), 1, "{text}");
    }
    for number in 0..20 {
        let text = format!("number {number}");
        eventually("it is delivered by one of them", LATER, || async {
            match count_in(&before, &text) + count(&cluster, &text) {
                0 => Err(text.clone()),
                _ => Ok(()),
            }
        })
        .await;
    }
    verified(&cluster, &nats).await;
}

#[tokio::test]
async fn what_was_stored_and_never_acknowledged_is_not_stored_again() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(2, &nats, &[]).await;
    for name in ["a", "b"] {
        fs::write(down(&cluster, name), "").unwrap();
    }
    assert!(!one(&cluster, "1", "before").await);
    // Without Consul, the leader may not acknowledge.
    cluster.consul.signal(Signal::STOP);
    let leader = cluster.leader().await;
    let node = cluster.node(leader);
    node.until("it is suspended", |status| status["role"] == "suspended")
        .await;
    let request = node.http.post(node.url("/api/v1/log"));
    let request = request.header("sluice-message-id", "2").body("stored");
    let sending = tokio::spawn(request.send());
    node.until("it is stored", |status| status["journal"]["records"] == 2)
        .await;
    assert!(!sending.is_finished(), "it is acknowledged");
    cluster.nodes[leader].process.kill();
    cluster.nodes.remove(leader);
    cluster.consul.signal(Signal::CONT);
    assert!(sending.await.unwrap().is_err(), "it was acknowledged");
    assert!(one(&cluster, "2", "stored").await);
    assert!(one(&cluster, "1", "before").await);
    let leader = cluster.leader().await;
    fs::remove_file(down(&cluster, &cluster.node(leader).name)).unwrap();
    delivered(&cluster, "stored").await;
    assert!(!one(&cluster, "3", "last").await);
    delivered(&cluster, "last").await;
    assert_eq!(
        (count(&cluster, "before"), count(&cluster, "stored")),
        (1, 1)
    );
}

#[tokio::test]
async fn after_the_window_the_same_is_delivered_again() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(2, &nats, &["--dedupe-window", "3s"]).await;
    assert!(!one(&cluster, "1", "again").await);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!one(&cluster, "1", "again").await);
    assert!(one(&cluster, "1", "again").await);
    let before = next_leader(&mut cluster).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!one(&cluster, "1", "again").await);
    eventually("it is delivered again", LATER, || async {
        match count_in(&before, "again") + count(&cluster, "again") {
            0..3 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn requests_without_ids_do_not_wait_for_those_of_earlier_leaders() {
    let nats = Nats::cluster().await;
    // Another stream has the subject of the ids.
    let squatter = json!({
        "name": "squatter",
        "subjects": ["sluice.*.ids.*"],
        "storage": "memory",
        "num_replicas": 1,
    });
    eventually("JetStream works", LATER, || async {
        let made = nats.api("STREAM.CREATE.squatter", &squatter).await?;
        match &made["error"] {
            serde_json::Value::Null => Ok(()),
            error => Err(error.to_string()),
        }
    })
    .await;
    let cluster = nodes(1, &nats, &["--request-timeout", "2s"]).await;
    eventually("a request without an id is taken", LATER, || async {
        match cluster.node(0).log("without").await {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
    assert_eq!(
        sent(cluster.node(0), "/api/v1/log", "1", "with").await.0,
        503
    );
    cluster
        .node(0)
        .until("the status says why", |status| {
            status["journal"]["ids_error"].is_string() && status["journal"]["error"].is_null()
        })
        .await;
    nats.api("STREAM.DELETE.squatter", &json!({}))
        .await
        .unwrap();
    assert!(!one(&cluster, "1", "with").await);
    assert!(one(&cluster, "1", "with").await);
    let status = cluster.node(0).status().await.unwrap();
    assert!(status["journal"]["ids_error"].is_null(), "{status}");
}

#[tokio::test]
async fn a_chunk_of_forward_is_recognised_by_the_next_leader() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(0, &nats, &[]).await;
    let ports = [Port::claim(), Port::claim()];
    let addresses = ports.map(|port| (format!("127.0.0.1:{}", port.number), port));
    for (name, (address, _)) in ["a", "b"].into_iter().zip(&addresses) {
        let options = Options::with(&["--forward-listen", address]);
        cluster.add_with(name, options).await;
        cluster.leader_within(LATER).await;
    }
    let message = b"\x94\xa1t\xce\x65\x00\x00\x00\x81\xa3log\xa2hi\x81\xa5chunk\xa2c1";
    let chunk = async |address: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(message).await.unwrap();
        let mut ack = [0; 8];
        let reading = stream.read_exact(&mut ack);
        tokio::time::timeout(LATER, reading).await.unwrap().unwrap();
        assert_eq!(&ack, b"\x81\xa3ack\xa2c1");
    };
    chunk(&addresses[0].0).await;
    delivered(&cluster, "hi").await;
    // The next leader knows that, and does not deliver it again.
    settled(&cluster, &nats).await;
    let before = next_leader(&mut cluster).await;
    chunk(&addresses[1].0).await;
    assert!(!one(&cluster, "1", "last").await);
    tokio::time::timeout(SOON, delivered(&cluster, "last"))
        .await
        .unwrap();
    assert_eq!(count_in(&(before + &cluster.output()), "hi"), 1);
}

#[tokio::test]
async fn what_was_unknown_is_stored_once_by_the_same_leader() {
    let nats = Nats::cluster().await;
    let cluster = nodes(1, &nats, &["--request-timeout", "2s"]).await;
    assert!(!one(&cluster, "1", "first").await);
    // Otherwise, what says so is sent first.
    settled(&cluster, &nats).await;
    nats.signal(&[0, 1], Signal::STOP);
    // It waits for the servers, and so does its retry.
    let node = cluster.node(0);
    assert_eq!(sent(node, "/api/v1/log", "2", "second").await.0, 504);
    assert_eq!(sent(node, "/api/v1/log", "2", "second").await.0, 504);
    nats.signal(&[0, 1], Signal::CONT);
    assert!(one(&cluster, "2", "second").await, "it was stored once");
    assert!(!one(&cluster, "3", "third").await);
    delivered(&cluster, "third").await;
    assert_eq!(count(&cluster, "second"), 1);
}
