//! What the web page reads of streams.

use serde_json::{Value, json};

use crate::operator::{self, as_client};
use crate::support::{Cluster, SOON, eventually, http, sluice};

/// What it reads of a stream.
const READS: [&str; 7] = [
    "/api/v1/cluster",
    "/api/v1/cluster/history",
    "/api/v1/cluster/streams",
    "/api/v1/plugin",
    "/api/v1/rejects",
    "/api/v1/dead-letters",
    "/api/v1/dead-letters/a/1-1",
];
/// What it does with one.
const ACTIONS: [&str; 4] = [
    "/api/v1/dead-letters/replay",
    "/api/v1/dead-letters/purge",
    "/api/v1/plugin/rollback",
    "/api/v1/step-down",
];

/// Waits until a node shows this.
async fn shows(cluster: &Cluster, place: usize, path: &str, is_so: impl Fn(&Value) -> bool) {
    eventually(&format!("{path} at node {place}"), SOON, || async {
        let answer = cluster.http.get(cluster.node(place).url(path));
        let text = answer.send().await.unwrap().text().await.unwrap();
        let shown: Value = serde_json::from_str(&text).map_err(|_| text)?;
        match is_so(&shown) {
            true => Ok(()),
            false => Err(shown.to_string()),
        }
    })
    .await;
}

/// The names of those that led a stream, in their order.
fn led(overview: &Value) -> Vec<&str> {
    let tenures = overview["tenures"].as_array().unwrap().iter();
    tenures.map(|it| it["node"].as_str().unwrap()).collect()
}

/// The list of streams as pairs of a name and what is said of it.
fn rows(list: &Value) -> Vec<(&str, &Value)> {
    let rows = list["streams"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].as_str().unwrap(), row))
        .collect()
}

#[tokio::test]
async fn every_node_lists_the_streams_with_what_waits_and_what_is_wrong() {
    let cluster = Cluster::on_consul(2, &["--ack", "journal"]).await;
    let first = cluster.node(cluster.leader().await).name.clone();
    cluster.create("audit", "builtin:stdout").await;
    cluster.create("lost", "file:///no/such/file.wasm").await;
    let audit = cluster.leads("audit", SOON).await;
    cluster.is_taken(audit, "audit", "one").await;
    for place in 0..2 {
        shows(&cluster, place, "/api/v1/cluster/streams", |list| {
            let rows = rows(list);
            let [default, of_audit, lost] = rows.as_slice() else {
                return false;
            };
            let leads = |(name, row): &(&str, &Value), wanted: &str, leader: &str| {
                let statuses = row["statuses"].as_array().unwrap();
                *name == wanted
                    && row["leader"]["node"] == leader
                    && row["sink"]["source"] == "builtin:stdout"
                    && statuses.len() == 1
                    && statuses[0]["node"] == leader
                    && statuses[0]["tenure"] == row["tenure"]
                    && statuses[0]["journal"]["records"] == 0
            };
            let wrong = lost.1["statuses"].as_array().unwrap();
            list["errors"] == json!([])
                && leads(default, "default", &first)
                && leads(of_audit, "audit", &cluster.node(audit).name)
                && lost.0 == "lost"
                && lost.1["leader"].is_null()
                && lost.1["able"] == json!([])
                && wrong.len() == 2
                && wrong.iter().all(|it| it["plugin"]["error"].is_string())
        })
        .await;
    }
}

#[tokio::test]
async fn who_led_when_is_told_of_each_stream() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let first = cluster.node(cluster.leader().await).name.clone();
    cluster.create("audit", "builtin:stdout").await;
    let before = cluster.leads("audit", SOON).await;
    let [from, to] = [before, 1 - before].map(|place| cluster.node(place).name.as_str());
    let of_audit = "/streams/audit/api/v1/cluster";
    shows(&cluster, 0, of_audit, |it| led(it) == [from]).await;
    eventually("it moves", SOON, || async {
        match sluice(&cluster, &["stream", "move", "audit", "--to", to]).await {
            (Some(0), ..) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for place in 0..2 {
        shows(&cluster, place, of_audit, |it| {
            let tenures = it["tenures"].as_array().unwrap();
            led(it) == [from, to]
                && tenures[0]["until"].is_string()
                && tenures[1]["until"].is_null()
                && tenures[0]["epoch"].as_u64() < tenures[1]["epoch"].as_u64()
        })
        .await;
        // The epochs of the other stream are none of the default one.
        shows(&cluster, place, "/api/v1/cluster", |it| {
            led(it) == [first.as_str()] && it["tenures"][0]["until"].is_null()
        })
        .await;
    }
}

#[tokio::test]
async fn routes_take_the_stream_by_path_or_header_and_know_no_other() {
    let cluster = Cluster::on_consul(1, &[]).await;
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.leads("audit", SOON).await;
    let node = cluster.node(0);
    let get = |path: &str, header: Option<&'static str>| {
        let mut request = http().get(node.url(path));
        if let Some(stream) = header {
            request = request.header("sluice-stream", stream);
        }
        async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let plugin = async |path, header| {
        let (status, text) = get(path, header).await;
        assert_eq!(status, 200, "{text}");
        let shown: Value = serde_json::from_str(&text).unwrap();
        shown["asked"]["manifest"].clone()
    };
    let asked = json!("builtin:stdout");
    assert_eq!(plugin("/streams/audit/api/v1/plugin", None).await, asked);
    assert_eq!(plugin("/api/v1/plugin", Some("audit")).await, asked);
    assert_eq!(plugin("/api/v1/plugin", None).await, Value::Null);
    for path in READS {
        for (path, header) in [
            (format!("/streams/nothing{path}"), None),
            (path.to_owned(), Some("nothing")),
        ] {
            let (status, text) = get(&path, header).await;
            assert_eq!(status, 404, "{path}: {text}");
            assert!(text.contains("there is no stream \"nothing\""), "{text}");
        }
    }
    for path in ACTIONS {
        let path = format!("/streams/nothing{path}");
        let (status, text) = node.post(&path, "application/json", "{}").await;
        assert_eq!(status, 404, "{path}: {text}");
    }
    let (status, _) = get("/streams/audit/api/v1/plugin", Some("default")).await;
    assert_eq!(status, 400, "two streams");
}

#[tokio::test]
async fn an_action_is_about_its_stream_and_a_token_may_be_for_one() {
    let cluster = operator::nodes(2, &[]).await;
    let first = cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    let before = cluster.leads("audit", SOON).await;
    let one = operator::client("auditor", "\"read\"") + "streams = [\"audit\"]\n";
    let file = cluster.folder.path().join("tokens.toml");
    let all = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, all + &one).unwrap();
    let get = |path: &str| {
        let request = cluster.http.get(cluster.node(0).url(path));
        let request = request.bearer_auth("token-of-auditor").send();
        async {
            let answer = request.await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let list = eventually("the token is known", SOON, || async {
        match get("/streams/audit/api/v1/cluster/streams").await {
            (200, text) => Ok(text),
            (status, text) => Err(format!("{status}: {text}")),
        }
    })
    .await;
    // What waits in other streams is not told, and that they are there is no secret.
    let list: Value = serde_json::from_str(&list).unwrap();
    let told: Vec<_> = rows(&list)
        .into_iter()
        .map(|(name, row)| (name, row["statuses"].as_array().unwrap().len()))
        .collect();
    assert_eq!(told, [("default", 0), ("audit", 1)], "{list}");
    assert_eq!(get("/api/v1/cluster").await.0, 403);
    assert_eq!(get("/streams/audit/api/v1/cluster").await.0, 200);

    let path = "/streams/audit/api/v1/step-down";
    let epoch = cluster.stream_at(0, "audit").await.unwrap()["epoch"].clone();
    let act = |client: &'static str| {
        let request = cluster.http.post(cluster.node(1 - before).url(path));
        let request = request.bearer_auth(client).json(&json!({"epoch": epoch}));
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(act("token-of-auditor").await, 403);
    assert_eq!(act("token-of-on-call").await, 200);
    eventually("the other node leads", SOON, || async {
        match cluster.leads("audit", SOON).await {
            place if place != before => Ok(()),
            _ => Err("not yet".to_owned()),
        }
    })
    .await;
    assert_eq!(cluster.leader().await, first, "the default stream stays");
    let status = ["status", "--stream", "audit"];
    let (code, out, err) = as_client(&cluster, 0, "auditor", &status).await;
    assert_eq!(code, Some(0), "{out}{err}");
}
