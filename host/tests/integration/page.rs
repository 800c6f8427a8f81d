//! The web page, and what it reads: of the whole cluster, from whichever node.

use serde_json::{Value, json};

use crate::sink::verdict;
use crate::support::{Cluster, Node, SOON, eventually, guest, http};

/// What the page reads.
pub(crate) const READS: [&str; 6] = [
    "/api/v1/cluster",
    "/api/v1/cluster/history",
    "/api/v1/plugin",
    "/api/v1/rejects",
    "/api/v1/dead-letters",
    "/api/v1/dead-letters/a/1-1",
];
/// What it does.
pub(crate) const ACTIONS: [&str; 4] = [
    "/api/v1/dead-letters/replay",
    "/api/v1/dead-letters/purge",
    "/api/v1/plugin/rollback",
    "/api/v1/step-down",
];

async fn read(node: &Node, path: &str) -> Value {
    let answer = http().get(node.url(path)).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.text().await.unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    assert_eq!(headers["cache-control"], "no-store", "{path}");
    serde_json::from_str(&body).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|node| node["node"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_browser_is_led_to_the_page_and_gets_its_files_compressed() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let plain = http();
    for (path, accept) in [("/", "text/html,*/*;q=0.8"), ("/ui", "*/*")] {
        let request = plain.get(node.url(path)).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 302, "{path}");
        assert_eq!(answer.headers()["location"], "/ui/");
    }
    let page = plain.get(node.url("/ui/")).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    let body = page.text().await.unwrap();
    assert!(body.contains("<title>Sluice</title>"), "{body}");

    let request = || {
        plain
            .get(node.url("/ui/app.js"))
            .header("accept-encoding", "gzip")
    };
    let script = request().send().await.unwrap();
    assert_eq!(script.headers()["content-encoding"], "gzip");
    let tag = script.headers()["etag"].clone();
    assert!(script.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    let again = request().header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let missing = plain.get(node.url("/ui/no.js")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn every_node_shows_the_whole_cluster_and_a_take_over() {
    let mut cluster = Cluster::start(3, &[]).await;
    let first = cluster.leader().await;
    for place in 0..3 {
        let node = cluster.node(place);
        let leader = cluster.node(first).name.as_str();
        eventually("a node shows all", SOON, || async {
            let shown = read(node, "/api/v1/cluster").await;
            assert_eq!(shown["node"], node.name);
            let nodes = shown["nodes"].as_array().unwrap();
            let all_answer = nodes.iter().all(|n| n["status"]["role"].is_string());
            let tenures = shown["tenures"].as_array().unwrap();
            let latest = tenures.last().map(|t| (&t["epoch"], &t["node"]));
            let is_so = names(&shown["nodes"]) == ["a", "b", "c"]
                && all_answer
                && shown["leader"]["node"] == leader
                && latest == Some((&shown["epoch"], &json!(leader)))
                && nodes.iter().all(|n| n["document"]["able"] == true);
            is_so.then_some(()).ok_or_else(|| shown.to_string())
        })
        .await;
    }

    let epoch = read(cluster.node(first), "/api/v1/cluster").await["epoch"].clone();
    let gone = cluster.node(first).name.clone();
    cluster.nodes[first].process.kill();
    let others: Vec<_> = (0..3).filter(|place| *place != first).collect();
    for place in others {
        let node = cluster.node(place);
        eventually("the take-over is shown", SOON, || async {
            let shown = read(node, "/api/v1/cluster").await;
            let tenures = shown["tenures"].as_array().unwrap().clone();
            let before = tenures.iter().find(|t| t["epoch"] == epoch);
            let nodes = shown["nodes"].as_array().unwrap();
            let dead = nodes.iter().find(|n| n["node"] == json!(gone));
            let is_so = before.is_some_and(|t| t["node"] == json!(gone))
                && shown["leader"]["node"].is_string()
                && shown["leader"]["node"] != json!(gone)
                && tenures.last().unwrap()["node"] == shown["leader"]["node"]
                // Consul may have forgotten it already.
                && dead.is_none_or(|dead| dead["error"].is_string());
            is_so.then_some(()).ok_or_else(|| shown.to_string())
        })
        .await;
    }
}

#[tokio::test]
async fn dead_letters_rejects_and_plugins_are_those_of_all_nodes() {
    let plugin = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let cluster = Cluster::start(2, &["--plugin", &plugin, "--plugin-dir", &folder]).await;
    let leader = cluster.node(cluster.leader().await);
    let follower = cluster.node(cluster.follower().await);
    for text in ["trap", "half a line, then trap"] {
        let (status, body) = verdict(leader, text).await;
        assert_eq!(status, 422, "{body}");
    }
    let request = http().post(leader.url("/api/v1/logs")).body("{\"body\":\n");
    let request = request.header("content-type", "application/x-ndjson");
    assert_eq!(request.send().await.unwrap().status(), 200);
    for node in [leader, follower] {
        let list = read(node, "/api/v1/dead-letters").await;
        assert_eq!(list["more"], false, "{list}");
        assert_eq!(list["errors"], json!([]));
        assert_eq!(names(&list["letters"]), [&leader.name, &leader.name]);
        let latest = &list["letters"][0];
        assert_eq!(latest["body"], "half a line, then trap", "{list}");
        assert_eq!(latest["cause"], "poison");
        let path = format!(
            "/api/v1/dead-letters/{}/{}",
            leader.name,
            latest["id"].as_str().unwrap()
        );
        let whole = read(node, &path).await;
        assert_eq!(whole["record"]["body"], "half a line, then trap");
        assert!(whole["reason"].as_str().unwrap().contains("trapped"));
        for (query, count) in [
            ("text=half%20a", 1),
            ("text=whole", 0),
            ("reason=trapped&plugin=misbehave", 2),
            ("limit=1", 1),
            ("since=2999-01-01T00:00:00Z", 0),
        ] {
            let list = read(node, &format!("/api/v1/dead-letters?{query}")).await;
            assert_eq!(list["letters"].as_array().unwrap().len(), count, "{query}");
            assert_eq!(list["more"], query == "limit=1", "{query}");
        }
        let of_follower = format!("/api/v1/dead-letters?node={}", follower.name);
        assert_eq!(read(node, &of_follower).await["letters"], json!([]));
        let rejects = read(node, "/api/v1/rejects").await;
        assert_eq!(names(&rejects["rejects"]), [&leader.name], "{rejects}");
        let histories = read(node, "/api/v1/cluster/history").await;
        assert_eq!(names(&histories["nodes"]), ["a", "b"]);
        for history in histories["nodes"].as_array().unwrap() {
            assert!(history["history"]["times"].is_array(), "{histories}");
        }
    }
    // Unknown names are said to be that.
    let missing = http().get(leader.url("/api/v1/dead-letters/nobody/1-1"));
    assert_eq!(missing.send().await.unwrap().status(), 404);
    let missing = format!("/api/v1/dead-letters/{}/9-9", follower.name);
    let missing = http().get(leader.url(&missing)).send().await.unwrap();
    assert_eq!(missing.status(), 404);

    let other = "builtin:stdout";
    cluster.ask(other).await;
    cluster.runs_what_is_asked_for().await;
    eventually("the change is shown", SOON, || async {
        let shown = read(follower, "/api/v1/plugin").await;
        let history = shown["history"].as_array().unwrap();
        let is_so = shown["asked"]["manifest"] == other
            && shown["active"]["source"] == other
            && history.len() == 2
            && history[1]["manifest"] == other
            && shown["rollback"]["manifest"] == plugin.as_str();
        is_so.then_some(()).ok_or_else(|| shown.to_string())
    })
    .await;
}

#[tokio::test]
async fn only_this_machine_reads_and_nobody_acts_without_a_token() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    for path in READS {
        for host in ["evil.example.com", "10.0.0.1:3000"] {
            let request = http().get(node.url(path)).header("host", host);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 403, "{path} as {host}");
        }
    }
    for path in ACTIONS {
        for token in [None, Some("Bearer guessed")] {
            let mut request = http().post(node.url(path)).body("{}");
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 403, "{path}");
            let text = answer.text().await.unwrap();
            assert!(text.contains("scope admin"), "{path}: {text}");
        }
        let request = http()
            .post(node.url(path))
            .header("origin", "https://evil.example.com");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
        assert!(
            answer.text().await.unwrap().contains("another origin"),
            "{path}"
        );
    }
    assert_eq!(cluster.leader().await, 0, "it leads on");
}
