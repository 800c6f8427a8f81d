//! What a node counts by protocol, and what it remembers of the last 15 minutes.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Cluster, Node, Options, Port, Prometheus, SOON, eventually, http};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The samples of a metric, by protocol and outcome.
async fn records(node: &Node) -> BTreeMap<(String, String), u64> {
    let text = http().get(node.url("/metrics")).send().await.unwrap();
    let text = text.text().await.unwrap();
    let start = "sluice_ingest_records_total{stream=\"default\",protocol=\"";
    let lines = text.lines().filter_map(|line| line.strip_prefix(start));
    let samples = lines.map(|line| {
        let (protocol, rest) = line.split_once("\",outcome=\"").unwrap();
        let (outcome, count) = rest.split_once("\"} ").unwrap();
        let name = (protocol.to_owned(), outcome.to_owned());
        (name, count.parse().unwrap())
    });
    samples.filter(|(_, count)| *count > 0).collect()
}

fn expect(counts: &[(&str, &str, u64)]) -> BTreeMap<(String, String), u64> {
    let own = |(protocol, outcome, count): &(&str, &str, u64)| {
        (((*protocol).to_owned(), (*outcome).to_owned()), *count)
    };
    counts.iter().map(own).collect()
}

#[tokio::test]
async fn records_are_counted_where_they_are_taken_by_protocol_and_outcome() {
    let mut cluster = Cluster::start(0, &["--follower", "forward"]).await;
    let mut doors = Vec::new();
    for name in ["a", "b"] {
        let port = Port::claim();
        let door = format!("tcp://127.0.0.1:{}", port.number);
        let options = Options::with(&["--syslog-listen", &door]);
        cluster.add_with(name, options).await;
        doors.push(port);
    }
    let follower = cluster.follower().await;
    let leader = 1 - follower;
    for place in [leader, follower] {
        let node = cluster.node(place);
        assert_eq!(node.log("one").await.0, 200);
        let lines = node.post(
            "/api/v1/logs",
            "application/x-ndjson",
            "{}\n{\"body\":\"b\"}\nno\n",
        );
        let (status, body) = lines.await;
        assert_eq!(status, 200, "{body}");
        let push = r#"{"streams":[{"stream":{"a":"b"},"values":[["1","x"],["2","y"]]}]}"#;
        let (status, body) = node
            .post("/loki/api/v1/push", "application/json", push)
            .await;
        assert_eq!(status, 204, "{body}");
        let mut syslog = TcpStream::connect(("127.0.0.1", doors[place].number))
            .await
            .unwrap();
        syslog
            .write_all(b"<14>1 - host app - - - hello\n")
            .await
            .unwrap();
    }
    let loki_and_native = [
        ("loki", "accepted", 4),
        ("native", "accepted", 6),
        ("native", "rejected", 2),
        ("syslog", "accepted", 1),
    ];
    for (place, expected) in [
        (leader, expect(&loki_and_native)),
        (follower, expect(&[("syslog", "accepted", 1)])),
    ] {
        eventually("all is counted", SOON, || async {
            match records(cluster.node(place)).await {
                counted if counted == expected => Ok(()),
                counted => Err(format!("{counted:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_repeat_is_a_duplicate_and_a_full_queue_is_busy() {
    let cluster = Cluster::start(1, &["--queue-records", "10"]).await;
    let node = cluster.node(0);
    for _ in 0..2 {
        let request = cluster.http.post(node.url("/api/v1/log"));
        let request = request.header("sluice-message-id", "1").body("same");
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let (status, _) = node
        .post("/api/v1/logs", "text/plain", "x\n".repeat(11))
        .await;
    assert_eq!(status, 413);
    let expected = [("native", "accepted", 1), ("native", "duplicate", 1)];
    assert_eq!(records(node).await, expect(&expected));
}

#[tokio::test]
async fn an_acknowledgement_keeps_its_trace_in_prometheus() {
    let cluster = Cluster::start(1, &[]).await;
    let prometheus = Prometheus::of(&cluster).await;
    let request = cluster.http.post(cluster.node(0).url("/api/v1/log"));
    let traced = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    assert_eq!(traced.body("x").send().await.unwrap().status(), 200);
    prometheus
        .has_trace("sluice_acknowledge_seconds_bucket", TRACE)
        .await;
    let accepted = "sluice_ingest_records_total{protocol=\"native\",outcome=\"accepted\"}";
    prometheus.sees(accepted, "1").await;
}

async fn history(node: &Node, query: &str) -> Value {
    let answer = http()
        .get(node.url(&format!("/api/v1/history{query}")))
        .send()
        .await;
    answer.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_node_remembers_what_it_did() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let document = eventually("a sample shows the records", SOON, || async {
        // There may be a sample at any moment.
        assert_eq!(node.log("x").await.0, 200);
        let document = history(node, "").await;
        let rates = document["records_in"]["native"].as_array();
        match rates.is_some_and(|rates| rates.iter().any(|rate| rate.as_f64() > Some(0.0))) {
            true => Ok(document),
            false => Err(document.to_string()),
        }
    })
    .await;
    assert_eq!(document["node"], "a");
    let times = document["times"].as_array().unwrap();
    for series in [
        &document["records_in"]["native"],
        &document["outcomes"]["accepted"],
        &document["records_out"],
        &document["queue_bytes"],
        &document["write_seconds"]["p99"],
        &document["acknowledge_seconds"]["p50"],
    ] {
        assert_eq!(series.as_array().unwrap().len(), times.len(), "{document}");
    }
    let last = times.len() - 1;
    assert_eq!(times[last].as_u64().unwrap() % 5000, 0);
    assert!(
        document["write_seconds"]["p50"][last].as_f64() > Some(0.0),
        "{document}"
    );
    assert!(
        document["acknowledge_seconds"]["p99"][last].as_f64() > Some(0.0),
        "{document}"
    );
    let later = history(node, &format!("?since={}", times[last])).await;
    let later = later["times"].as_array().unwrap().first().cloned();
    assert!(later.is_none_or(|time| time.as_u64() > times[last].as_u64()));
}

#[tokio::test]
async fn only_this_machine_and_other_nodes_read_what_a_node_did() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let asked = |path: &str, host: &str| {
        let request = cluster.http.get(node.url(path)).header("host", host);
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(asked("/api/v1/history", "localhost").await, 200);
    assert_eq!(asked("/api/v1/history?since=x", "localhost").await, 400);
    assert_eq!(asked("/api/v1/history", "node.example.com").await, 403);
    assert_eq!(asked("/internal/v1/history", "localhost").await, 401);
}
