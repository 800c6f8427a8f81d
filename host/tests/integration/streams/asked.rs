//! What people ask of a stream, and do with it, by HTTP and by the command line.

use serde_json::Value;

use crate::support::{Cluster, SOON, eventually, sluice};

impl Cluster {
    /// What a node answers by a path of a stream.
    async fn read(&self, place: usize, stream: &str, path: &str) -> Value {
        let url = self.node(place).url(&format!("/streams/{stream}{path}"));
        let answer = self.http.get(url).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The place of the node that leads a stream, and that of another one.
    async fn leader_and_other(&self, stream: &str) -> (usize, usize) {
        let leader = self.leads(stream, SOON).await;
        (leader, (leader + 1) % self.nodes.len())
    }
}

async fn succeeds(cluster: &Cluster, arguments: &[&str]) -> String {
    let (code, out, err) = sluice(cluster, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
    out
}

async fn fails(cluster: &Cluster, arguments: &[&str]) -> String {
    let (code, out, err) = sluice(cluster, arguments).await;
    assert_eq!(code, Some(1), "{arguments:?}: {out}{err}");
    err
}

#[tokio::test]
async fn a_stream_is_listed_and_moved() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    let create = [
        "plugin",
        "use",
        "builtin:stdout",
        "--stream",
        "audit",
        "--wait",
    ];
    succeeds(&cluster, &create).await;
    let (before, after) = cluster.leader_and_other("audit").await;
    let [from, to] = [before, after].map(|place| cluster.node(place).name.as_str());
    eventually("both nodes are able", SOON, || async {
        let list = succeeds(&cluster, &["stream", "list"]).await;
        let mut lines = list
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let head = lines.next().unwrap();
        assert_eq!(head, ["STREAM", "LEADER", "EPOCH", "ABLE", "SINK"]);
        match lines.find(|line| line[0] == "audit").as_deref() {
            Some([_, leader, epoch, "2/2", "builtin:stdout"]) if *leader == from => {
                epoch.parse::<u64>().map_err(|error| error.to_string())
            }
            _ => Err(list),
        }
    })
    .await;
    let list = succeeds(&cluster, &["stream", "list", "--json"]).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["streams"][0]["name"], "default", "{list}");
    assert_eq!(list["streams"][1]["leader"]["node"], from, "{list}");

    let error = fails(&cluster, &["stream", "move", "nothing", "--to", to]).await;
    assert!(
        error.contains("there is no such stream; there are default, audit"),
        "{error}"
    );
    let error = fails(&cluster, &["stream", "move", "audit", "--to", "z"]).await;
    assert!(
        error.contains("there is no such node; there are a, b"),
        "{error}"
    );
    let error = fails(&cluster, &["stream", "move", "audit", "--to", from]).await;
    assert!(error.contains("already leads"), "{error}");

    let said = succeeds(&cluster, &["stream", "move", "audit", "--to", to]).await;
    assert!(
        said.starts_with(&format!("{to} leads now, epoch ")),
        "{said}"
    );
    assert_eq!(cluster.leads("audit", SOON).await, after);
    cluster.is_taken(before, "audit", "moved").await;
    // The default stream has an older epoch than that, and steps down all the same.
    let leader = cluster.leader().await;
    let said = succeeds(&cluster, &["step-down"]).await;
    let other = cluster.node(1 - leader).name.as_str();
    assert!(said.starts_with(&format!("{other} leads now")), "{said}");
}

#[tokio::test]
async fn a_node_that_lacks_the_sink_is_given_no_stream() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    let (_, other) = cluster.leader_and_other("audit").await;
    cluster.create("audit", "file:///no/such/file.wasm").await;
    let to = cluster.node(other).name.as_str();
    eventually("the node is not able", SOON, || async {
        let (code, out, error) = sluice(&cluster, &["stream", "move", "audit", "--to", to]).await;
        match code == Some(1) && error.contains("it is not ready to lead") {
            true => Ok(()),
            false => Err(format!("{out}{error}")),
        }
    })
    .await;
}

#[tokio::test]
async fn what_commands_and_routes_tell_is_that_of_the_stream() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    let (leader, other) = cluster.leader_and_other("audit").await;
    for text in ["one", "two", "three"] {
        cluster.is_taken(leader, "audit", text).await;
    }
    for place in [leader, other] {
        let status = cluster.read(place, "audit", "/api/v1/status").await;
        let accepted = &status["counters"]["accepted"];
        assert_eq!(*accepted, if place == leader { 3 } else { 0 }, "{status}");
        let overview = cluster.read(place, "audit", "/api/v1/cluster").await;
        assert_eq!(overview["leader"]["node"], cluster.node(leader).name);
        let nodes = overview["nodes"].as_array().unwrap();
        let accepted = nodes
            .iter()
            .map(|node| &node["status"]["counters"]["accepted"]);
        let sum: u64 = accepted.map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, 3, "{overview}");
        let plugin = cluster.read(place, "audit", "/api/v1/plugin").await;
        assert_eq!(plugin["asked"]["manifest"], "builtin:stdout", "{plugin}");
        let history = cluster.read(place, "audit", "/api/v1/history").await;
        assert_eq!(history["node"], cluster.node(place).name, "{history}");
    }
    let status = succeeds(&cluster, &["status", "--stream", "audit", "--json"]).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["leader"]["node"], cluster.node(leader).name);
    let default: Value =
        serde_json::from_str(&succeeds(&cluster, &["status", "--json"]).await).unwrap();
    let accepted = |status: &Value| -> u64 {
        let nodes = status["nodes"].as_array().unwrap().iter();
        let counts = nodes.map(|node| node["status"]["counters"]["accepted"].as_u64().unwrap());
        counts.sum()
    };
    assert_eq!((accepted(&status), accepted(&default)), (3, 0));
    let url = format!("http://{}", cluster.node(other).address);
    let seen = ["status", "--stream", "audit", "--json", "--url", &url];
    let seen: Value = serde_json::from_str(&succeeds(&cluster, &seen).await).unwrap();
    assert_eq!(accepted(&seen), 3, "{seen}");
    let of_plugin = ["plugin", "status", "--stream", "audit"];
    eventually("it runs", SOON, || async {
        match sluice(&cluster, &of_plugin).await {
            (Some(0), out, _) if out.contains("asked for: builtin:stdout") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let history = succeeds(&cluster, &["plugin", "history", "--stream", "audit"]).await;
    assert!(history.contains("builtin:stdout"), "{history}");
    let error = fails(&cluster, &["status", "--stream", "other", "--url", &url]).await;
    assert!(error.contains("there is no stream \"other\""), "{error}");
}

#[tokio::test]
async fn rejects_and_dead_letters_are_those_of_the_stream() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    let (leader, _) = cluster.leader_and_other("audit").await;
    let node = cluster.node(leader);
    let path = "/streams/audit/api/v1/logs";
    let (status, text) = node.post(path, "application/x-ndjson", "no json\n").await;
    assert_eq!(status, 200, "{text}");
    let list = succeeds(&cluster, &["rejects", "--json", "--stream", "audit"]).await;
    assert!(list.contains("no json"), "{list}");
    let list = succeeds(&cluster, &["rejects", "--json"]).await;
    assert_eq!(list, "");
    for place in 0..2 {
        let list = cluster.read(place, "audit", "/api/v1/rejects").await;
        assert_eq!(list["rejects"].as_array().unwrap().len(), 1, "{list}");
        let list = cluster.read(place, "audit", "/api/v1/dead-letters").await;
        assert_eq!(list["errors"], serde_json::json!([]), "{list}");
    }
    let list = succeeds(&cluster, &["dlq", "list", "--json", "--stream", "audit"]).await;
    assert_eq!(list, "");
}

#[tokio::test]
async fn every_node_shows_the_records_of_a_stream_as_they_pass() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    let (leader, other) = cluster.leader_and_other("audit").await;
    for (place, path) in [
        (leader, "/streams/audit/api/v1/tail"),
        (other, "/streams/audit/api/v1/tail"),
        (other, "/api/v1/tail?stream=audit"),
    ] {
        let url = cluster.node(place).url(path);
        let mut answer = cluster.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut seen = String::new();
        // It begins by naming the leader.
        while !seen.contains("event: leader") {
            seen += &part(&mut answer).await;
        }
        cluster.acknowledged("of another stream").await;
        cluster.is_taken(leader, "audit", "watched").await;
        while !seen.contains("\"watched\"") {
            seen += &part(&mut answer).await;
        }
        assert!(!seen.contains("of another stream"), "{seen}");
    }
    let path = "/streams/audit/api/v1/tail?stream=default";
    let answer = cluster.http.get(cluster.node(leader).url(path)).send();
    assert_eq!(answer.await.unwrap().status(), 400);
}

async fn part(answer: &mut reqwest::Response) -> String {
    let part = tokio::time::timeout(SOON, answer.chunk()).await.unwrap();
    String::from_utf8(part.unwrap().unwrap().to_vec()).unwrap()
}
