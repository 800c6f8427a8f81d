//! Sinks that would stop the delivery, or cost others their records: they cost
//! only themselves.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::measure::{Innocent, Measure};
use crate::support::{Cluster, Node, SOON, eventually, guest, sluice};

/// The longest time that a sink is left alone at its own request.
const RETRY_AFTER_MAX_MS: u64 = 60_000;

/// A node with the misbehaving guest.
async fn node(config: &str, limits: Value, arguments: &[&str]) -> Cluster {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let manifest = json!({
        "source": format!("file://{}", file.display()),
        "config": config,
        "limits": limits,
        "permissions": {"dirs": [{"host": "own", "guest": "/own", "write": true}]},
    });
    let manifest = manifest.to_string();
    let own = ["--plugin", &manifest, "--plugin-dir", &folder];
    Cluster::start(1, &[&own, arguments].concat()).await
}

/// While this file exists, the sink's destination is away.
fn down(cluster: &Cluster) -> PathBuf {
    let own = cluster.folder.path().join("data/a/files/own");
    fs::create_dir_all(&own).unwrap();
    own.join("down")
}

/// Waits until the status says that the delivery stalls, and when it goes on.
async fn stalls(node: &Node) {
    node.until("it says why nothing is delivered", |status| {
        let stalled = &status["delivery"]["stalled"];
        stalled["reason"] == "busy"
            && stalled["since"].is_string()
            && matches!(
                stalled["next_attempt_ms"].as_u64(),
                Some(1..=RETRY_AFTER_MAX_MS)
            )
    })
    .await;
}

async fn ready(cluster: &Cluster) -> (u16, String) {
    let url = cluster.node(0).url("/readyz");
    let answer = cluster.http.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn stalled_seconds(cluster: &Cluster) -> f64 {
    let url = cluster.node(0).url("/metrics");
    let text = cluster.http.get(url).send().await.unwrap().text().await;
    let text = text.unwrap();
    let sample = "sluice_delivery_stalled_seconds{stream=\"default\"} ";
    let value = text.lines().find_map(|line| line.strip_prefix(sample));
    value.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[tokio::test]
async fn a_sink_that_asks_to_wait_for_ever_does_not_stop_the_journal() {
    let mut cluster = node("away for ever", json!({}), &["--ack", "journal"]).await;
    let down = down(&cluster);
    fs::write(&down, "").unwrap();
    assert_eq!(cluster.node(0).log("one").await.0, 200);
    for life in ["the first", "after a crash"] {
        let measure = Measure::of(&cluster).with_journal();
        let name = format!("a sink that asks to wait for ever, {life}");
        measure.attack(&name, stops_no_journal(&cluster)).await;
        cluster.nodes[0].process.kill();
        cluster.nodes.clear();
        cluster.add("a").await;
        cluster.leader().await;
    }
    stalls(cluster.node(0)).await;
    fs::remove_file(&down).unwrap();
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    cluster.add("a").await;
    cluster.leader().await;
    cluster.node(0).wrote(" one attempt ").await;
    cluster
        .node(0)
        .until("all is delivered", |status| {
            status["journal"]["records"] == 0 && status["delivery"]["stalled"].is_null()
        })
        .await;
    assert_eq!(ready(&cluster).await, (200, "OK".to_owned()));
    assert!(stalled_seconds(&cluster).await < f64::EPSILON);
}

/// Waits until the delivery stalls. The journal still takes records.
async fn stops_no_journal(cluster: &Cluster) {
    stalls(cluster.node(0)).await;
    assert!(stalled_seconds(cluster).await > 0.0);
    let (status, body) = ready(cluster).await;
    assert_eq!(status, 200, "{body}");
    assert!(
        body.starts_with("OK\ndelivery stalled since ") && body.ends_with(" because busy"),
        "{body}"
    );
    assert_eq!(cluster.node(0).log("two").await.0, 200);
    let (_, out, err) = sluice(cluster, &["status"]).await;
    assert!(out.contains("delivery stalled since "), "{out}{err}");
}

#[tokio::test]
async fn a_node_that_answers_only_for_what_is_delivered_is_not_ready_while_nothing_is() {
    let cluster = node("always busy", json!({}), &["--request-timeout", "14s"]).await;
    let request = cluster.node(0).log("one");
    let watch = async {
        stalls_soon(&cluster).await;
        assert_eq!(ready(&cluster).await.0, 200, "it has not lasted");
        eventually("it is not ready", SOON, || async {
            match ready(&cluster).await {
                (503, body) if body.ends_with(" because busy") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        let health = cluster.node(0).url("/healthz");
        assert_eq!(cluster.http.get(health).send().await.unwrap().status(), 200);
    };
    // The sink takes nothing, so no message is answered.
    let measure = Measure::of(&cluster).innocent(Innocent::Asks);
    let attack = async { tokio::join!(request, watch) };
    let ((status, body), ()) = measure.attack("a sink that is always busy", attack).await;
    assert_eq!(status, 504, "{body}");
    // Nothing waits any more, so that it may be asked again.
    eventually("it is ready again", SOON, || async {
        match ready(&cluster).await {
            (200, _) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn stalls_soon(cluster: &Cluster) {
    cluster
        .node(0)
        .until("it stalls", |s| {
            s["delivery"]["stalled"]["reason"] == "busy"
        })
        .await;
}

#[tokio::test]
async fn a_record_that_needs_long_is_not_judged_for_another_one_that_spins() {
    let cluster = node("", json!({"write_timeout_ms": 1500}), &[]).await;
    let node = cluster.node(0);
    let spinning = node.log("spin");
    let others = async {
        node.until("the sink spins", |s| s["queue"]["records"] == 1)
            .await;
        let slow = node.log("compute 300").await;
        (slow, node.log("after").await)
    };
    // Other messages wait for the one that spins.
    let measure = Measure::of(&cluster).innocent(Innocent::Asks);
    let attack = async { tokio::join!(spinning, others) };
    let (spinning, (slow, after)) = measure.attack("a record that spins", attack).await;
    assert_eq!((slow.0, after.0), (200, 200), "{} {}", slow.1, after.1);
    assert_eq!(spinning.0, 422, "{}", spinning.1);
    assert!(
        spinning
            .1
            .contains("after 1500 ms (limits.write_timeout_ms)"),
        "{}",
        spinning.1
    );
    let status = node.status().await.unwrap();
    assert_eq!(status["counters"]["dead_lettered"], 1, "{status}");
}
