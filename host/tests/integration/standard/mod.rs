//! The protocols of other products' clients.

mod grpc;
pub(crate) mod grpc_client;
mod repeats;
mod requests;
mod streams;
pub(crate) mod upload;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Cluster, Consul, Options, Port, SOON, eventually, guest, sluice};
use requests::{Request, requests};

/// Waits until the sinks have written every record of these requests.
async fn all_written(cluster: &Cluster, requests: &[Request], mark: &str) {
    let expected: usize = requests.iter().map(|request| request.records).sum();
    eventually("all records are written", SOON, || async {
        let output = cluster.output();
        let count = output.matches(mark).count();
        match count == expected {
            true => Ok(()),
            false => Err(format!("{count} of {expected}: {output}")),
        }
    })
    .await;
}

#[tokio::test]
async fn every_node_takes_every_protocol() {
    let cluster = Cluster::start(3, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    for (place, mark) in [(leader, "to-the-leader"), (follower, "to-a-follower")] {
        let requests = requests(mark);
        for request in &requests {
            let answer = request
                .send(&cluster.http, &cluster.node(place).address)
                .await;
            let (status, name) = (answer.status(), request.name);
            let body = answer.text().await.unwrap();
            assert_eq!(status, request.taken, "{name}, {mark}: {body}");
        }
        all_written(&cluster, &requests, mark).await;
    }
    let metric = "sluice_records_accepted_total";
    let taken = cluster.node(follower).metric(metric).await;
    assert_eq!(taken, 0, "a follower takes nothing itself");
}

#[tokio::test]
async fn a_node_takes_requests_on_each_address_that_it_listens_on() {
    let port = Port::claim();
    let second = format!("127.0.0.1:{}", port.number);
    let flags = ["--listen", "127.0.0.1:0", "--listen", &second];
    let cluster = Cluster::start(1, &flags).await;
    let node = cluster.node(0);
    assert_ne!(node.address, second, "others connect to the first");
    for (address, mark) in [(&node.address, "to-the-first"), (&second, "to-the-second")] {
        let requests = requests(mark);
        for request in &requests {
            let answer = request.send(&cluster.http, address).await;
            assert_eq!(answer.status(), request.taken, "{}, {mark}", request.name);
        }
        all_written(&cluster, &requests, mark).await;
    }
    // It has the flags of the cluster.
    let mut other = cluster.spawn("b", Options::default());
    assert_eq!(other.wait(SOON).await.code(), Some(1));
    let error = format!("listen on {second}");
    assert!(other.stderr().contains(&error), "{}", other.stderr());
}

#[tokio::test]
async fn a_fail_over_is_a_pause_and_no_error() {
    let mut cluster = Cluster::start(3, &[]).await;
    let follower = cluster.follower().await;
    let leader = cluster.leader().await;
    let all = requests("after-the-death");
    cluster.nodes[leader].process.kill();
    let (http, address) = (&cluster.http, &cluster.node(follower).address);
    let sending = all.iter().map(|request| async move {
        let answer = request.send(http, address).await;
        (request, answer)
    });
    for (request, answer) in futures_util::future::join_all(sending).await {
        let (status, name) = (answer.status(), request.name);
        let body = answer.text().await.unwrap();
        assert_eq!(status, request.taken, "{name}: {body}");
    }
    all_written(&cluster, &all, "after-the-death").await;
}

#[tokio::test]
async fn without_a_leader_a_request_is_parked_and_then_told_to_come_again() {
    let mut cluster = Cluster::start(0, &["--park", "1s"]).await;
    cluster.add("a").await;
    cluster.leader().await;
    cluster.consul.stop();
    let node = cluster.node(0);
    node.until("it leads no more", |status| status["role"] != "leader")
        .await;
    // Each waits for a second, so they wait together.
    let sent = requests("without-a-leader")
        .into_iter()
        .map(async |request| {
            let started = Instant::now();
            let answer = request.send(&cluster.http, &node.address).await;
            let (status, name) = (answer.status().as_u16(), request.name);
            assert!([429, 503].contains(&status), "{name}: {status}");
            let retry_after = answer.headers().get("retry-after");
            assert!(retry_after.is_none_or(|value| value == "1"), "{name}");
            assert!(started.elapsed() >= Duration::from_secs(1), "{name}");
        });
    join_all(sent).await;
    assert!(!node.process.stdout().contains("without-a-leader"));
}

#[tokio::test]
async fn handshakes_are_answered_by_every_node_without_a_leader() {
    let cluster = Cluster::start(0, &["--elasticsearch-version", "9.1.2"]).await;
    let mut cluster = cluster;
    cluster.add("a").await;
    let node = cluster.node(0);
    let get = |path: &'static str| async move {
        let answer = cluster_get(node, path, "*/*").await;
        (answer.status().as_u16(), answer)
    };
    let (status, answer) = get("/").await;
    assert_eq!(status, 200);
    assert_eq!(answer.headers()["x-elastic-product"], "Elasticsearch");
    let facts: Value = answer.json().await.unwrap();
    assert_eq!(facts["version"]["number"], "9.1.2");
    assert_eq!(
        (&facts["name"], &facts["cluster_name"]),
        (&json!("a"), &json!("sluice"))
    );
    for path in [
        "/_license",
        "/_cluster/health",
        "/ready",
        "/loki/api/v1/labels",
        "/services/collector/health",
        "/api/v1/validate",
    ] {
        let (status, _) = get(path).await;
        assert_eq!(status, 200, "{path}");
    }
    // A browser gets no handshake, but the page.
    let answer = cluster_get(node, "/", "text/html,*/*;q=0.8").await;
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "/ui/");
    let answer = cluster_get(node, "/no/such/route", "*/*").await;
    assert_eq!(answer.status(), 404);
}

async fn cluster_get(node: &crate::support::Node, path: &str, accept: &str) -> reqwest::Response {
    let request = crate::support::http().get(node.url(path));
    request.header("accept", accept).send().await.unwrap()
}

#[tokio::test]
async fn each_protocol_has_its_carriers_of_the_token() {
    let mut cluster = Cluster::on(Consul::start().await, 0, &[]).await;
    let token = cluster.folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let flags = ["--token-file", token.to_str().unwrap()];
    for name in ["a", "b"] {
        cluster.add_with(name, Options::with(&flags)).await;
    }
    let follower = cluster.follower().await;
    let address = &cluster.node(follower).address;
    let basic = "Basic eDpzZWNyZXQ=";
    for request in requests("with-a-token") {
        let send = |header| request.try_send(&cluster.http, address, header);
        let name = request.name;
        let refused = send(None).await.unwrap().status().as_u16();
        assert!([400, 401, 403].contains(&refused), "{name}: {refused}");
        let wrong = send(Some(("authorization", "Bearer other"))).await.unwrap();
        assert!(wrong.status().is_client_error(), "{name}");
        let right = match name {
            "Datadog" => ("dd-api-key", "secret"),
            "HEC" | "HEC, raw" => ("authorization", "Splunk secret"),
            "_bulk" | "a document" => ("authorization", "ApiKey secret"),
            // Its clients sign, and send no token.
            "CloudWatch Logs" => continue,
            _ => ("authorization", basic),
        };
        let taken = send(Some(right)).await.unwrap();
        assert_eq!(taken.status(), request.taken, "{name}");
    }
}

#[tokio::test]
async fn what_a_sink_refuses_is_in_the_answer_or_a_dead_letter() {
    let plugin = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let cluster = Cluster::start(1, &["--plugin", &plugin, "--plugin-dir", &folder]).await;
    let node = cluster.node(0);
    let post = |path: &'static str, body: &'static str| node.post(path, "application/json", body);
    let (status, body) = post(
        "/_bulk",
        "{\"create\":{}}\n{\"message\":\"fine\"}\n{\"create\":{}}\n{\"message\":\"refuse\"}\n",
    )
    .await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["errors"], true);
    assert_eq!(answer["items"][0]["create"]["status"], 201);
    assert_eq!(answer["items"][1]["create"]["status"], 400, "{answer}");
    let (status, body) = post(
        "/v1/logs",
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"refuse"}},{"body":{"stringValue":"fine"}}]}]}]}"#,
    )
    .await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &answer["partialSuccess"]["rejectedLogRecords"]),
        (200, &json!("1"))
    );
    // These clients can be told nothing of single records.
    assert_eq!(
        post("/api/v2/logs", r#"[{"message":"refuse"}]"#).await.0,
        202
    );
    assert_eq!(
        post("/services/collector", r#"{"event":"refuse"}"#).await.0,
        200
    );
    let (code, out, err) = sluice(&cluster, &["dlq", "list", "--json"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().count(), 2, "{out}");
}
