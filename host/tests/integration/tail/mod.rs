//! Records are seen as they pass, on every node and by `sluice tail`.

mod command;
mod limits;
mod watching;

use serde_json::json;

use self::watching::{Watching, ask};
use crate::support::{Cluster, Options, guest};

/// Nodes whose sink does what messages say.
async fn misbehaving(nodes: usize) -> Cluster {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let plugin = format!("file://{}", file.display());
    Cluster::start(nodes, &["--plugin", &plugin, "--plugin-dir", &folder]).await
}

#[tokio::test]
async fn every_node_shows_records_with_their_outcomes() {
    let cluster = misbehaving(2).await;
    let leader = cluster.leader().await;
    let nodes = [leader, cluster.follower().await];
    let mut watching = Vec::new();
    for place in nodes {
        watching.push(Watching::begin(cluster.node(place), "").await);
    }
    let node = cluster.node(leader);
    let lines = [
        r#"{"body":"a good one","severity":"warn","time":"2026-11-20T09:00:00Z","host":"web-1","n":7}"#,
        r#"{"body":"refuse"}"#,
        r#"{"body":"refuse for now","id":"k"}"#,
    ];
    let (status, body) = node
        .post("/api/v1/logs", "application/x-ndjson", lines.join("\n"))
        .await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = node.log("retry all").await;
    assert_eq!(status, 200, "{body}");
    for watching in &mut watching {
        let good = watching.record().await;
        assert_eq!(good["outcome"], "delivered", "{good}");
        assert_eq!(good["time"], "2026-11-20T09:00:00.000000Z", "{good}");
        assert_eq!(good["severity"], "warn", "{good}");
        assert_eq!(good["attributes"], json!({"host": "web-1", "n": 7}));
        let latency = good["latency_us"].as_u64().unwrap();
        assert!((1..20_000_000).contains(&latency), "{good}");
        let mut seen = Vec::new();
        for _ in 0..6 {
            let record = watching.record().await;
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            seen.push([text("body"), text("outcome"), text("reason"), text("key")]);
        }
        let of = |body: &str| -> Vec<_> {
            let of_body = seen.iter().filter(|[found, ..]| found == body);
            of_body.map(|[_, rest @ ..]| rest.clone()).collect()
        };
        assert_eq!(of("refuse"), [["refused", "refused by the sink", ""]]);
        let retried = of("refuse for now");
        assert_eq!(retried.len(), 2, "{seen:?}");
        assert_eq!((&*retried[0][0], &*retried[0][2]), ("retried", "k"));
        assert_eq!(retried[1], ["delivered", "", "k"]);
        let fates: Vec<_> = of("retry all").into_iter().map(|[fate, ..]| fate).collect();
        assert_eq!(fates, ["retried", "retried", "delivered"], "{seen:?}");
    }
}

#[tokio::test]
async fn a_record_that_becomes_a_dead_letter_is_shown_as_one() {
    let cluster = misbehaving(1).await;
    let node = cluster.node(0);
    let mut watching = Watching::begin(node, "filter=trap").await;
    let (status, body) = crate::sink::verdict(node, "trap").await;
    assert_eq!(status, 422, "{body}");
    let letter = loop {
        let record = watching.record().await;
        match record["outcome"].as_str().unwrap() {
            "retried" => {}
            _ => break record,
        }
    };
    assert_eq!(letter["outcome"], "dead_letter", "{letter}");
    let id = letter["id"].as_str().unwrap();
    assert!(
        body.contains(&format!("dead letter {id}")),
        "{letter} {body}"
    );
}

#[tokio::test]
async fn conditions_choose_records_on_the_leader_and_through_a_follower() {
    let cluster = Cluster::start(2, &[]).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let lines: Vec<_> = ["info", "warn", "error"]
        .iter()
        .enumerate()
        .map(|(n, level)| {
            format!(r#"{{"body":"line {n} of {level}","level":"{level}","n":{n},"a":"x=y"}}"#)
        })
        .chain([r#"{"body":"the last line"}"#.to_owned()])
        .collect();
    for place in [leader, follower] {
        let node = cluster.node(place);
        for (query, expected) in [
            ("filter=line", vec!["0 of info", "1 of warn", "2 of error"]),
            ("filter=+of+warn", vec!["1 of warn"]),
            ("severity=warn", vec!["1 of warn", "2 of error"]),
            ("attribute=n%3D2", vec!["2 of error"]),
            ("attribute=a=x=y&attribute=n=0", vec!["0 of info"]),
            ("severity=error&attribute=n=0", vec![]),
        ] {
            let mut chosen = Watching::begin(node, query).await;
            let mut all = Watching::begin(node, "filter=the+last").await;
            let (status, body) = cluster
                .node(leader)
                .post("/api/v1/logs", "application/x-ndjson", lines.join("\n"))
                .await;
            assert_eq!(status, 200, "{body}");
            all.record().await;
            for text in expected {
                let record = chosen.record().await;
                assert_eq!(record["body"], format!("line {text}"), "{query}");
            }
        }
        for query in ["severity=loud", "limit=0", "filtre=x", "attribute=n"] {
            assert_eq!(ask(node, query).await.status(), 400, "{query}");
        }
        assert_eq!(ask(node, "stream=default").await.status(), 200);
        assert_eq!(ask(node, "stream=other").await.status(), 404);
    }
}

#[tokio::test]
async fn a_tail_goes_on_when_another_node_takes_the_lead() {
    let mut cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    let mut watching = Vec::new();
    for place in &others {
        watching.push(Watching::begin(cluster.node(*place), "").await);
    }
    for watching in &mut watching {
        watching.sees(cluster.node(leader), "before").await;
    }
    cluster.nodes[leader].process.kill();
    let dead = cluster.nodes.remove(leader);
    let next = cluster.leader().await;
    let name = cluster.node(next).name.clone();
    assert_ne!(name, dead.name);
    for watching in &mut watching {
        while watching.leader().await != name {}
        let seen = watching.sees(cluster.node(next), "after").await;
        assert_eq!(seen["outcome"], "delivered", "{seen}");
    }
    // The old leader comes back, and the lead with it.
    let place = cluster.add_with(&dead.name, Options::default()).await;
    let (code, out, err) =
        crate::support::sluice(&cluster, &["step-down", "--to", &dead.name]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    for watching in &mut watching {
        while watching.leader().await != dead.name {}
        watching.sees(cluster.node(place), "again").await;
    }
}

#[tokio::test]
async fn nobody_else_may_watch() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let url = node.url("/api/v1/tail");
    let foreign = cluster.http.get(&url).header("host", "evil.example.com");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let page = cluster
        .http
        .get(&url)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(page.send().await.unwrap().status(), 403);
    let unsigned = cluster.http.post(node.url("/internal/v1/tail")).body("{}");
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
}
