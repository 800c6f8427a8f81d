//! What the web page reads of streams.

use serde_json::{Value, json};

use crate::operator::{self, as_client};
use crate::page::{ACTIONS, READS};
use crate::support::{Cluster, SOON, eventually, http, sluice};

/// What it reads of all streams.
const STREAMS: &str = "/api/v1/cluster/streams";

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

/// The node that led a stream last.
fn latest(overview: &Value) -> &str {
    let tenures = overview["tenures"].as_array().unwrap();
    let latest = tenures.last().and_then(|it| it["node"].as_str());
    latest.unwrap_or_default()
}

/// The epochs of a stream's leaders, as a node shows them.
async fn epochs(cluster: &Cluster, place: usize, path: &str) -> Vec<u64> {
    let answer = cluster.http.get(cluster.node(place).url(path)).send().await;
    let shown: Value = answer.unwrap().json().await.unwrap();
    let tenures = shown["tenures"].as_array().unwrap().iter();
    tenures.map(|it| it["epoch"].as_u64().unwrap()).collect()
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
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    cluster.create("lost", "file:///no/such/file.wasm").await;
    let audit = cluster.leads("audit", SOON).await;
    cluster.is_taken(audit, "audit", "one").await;
    for place in 0..2 {
        shows(&cluster, place, STREAMS, |list| {
            let rows = rows(list);
            let [default, of_audit, lost] = rows.as_slice() else {
                return false;
            };
            let leads = |(name, row): &(&str, &Value), wanted: &str| {
                let statuses = row["statuses"].as_array().unwrap();
                *name == wanted
                    && row["sink"]["source"] == "builtin:stdout"
                    && statuses.len() == 1
                    && statuses[0]["role"] == "leader"
                    && statuses[0]["node"] == row["leader"]["node"]
                    && statuses[0]["tenure"] == row["tenure"]
                    && statuses[0]["journal"]["records"] == 0
            };
            let wrong = lost.1["statuses"].as_array().unwrap();
            list["errors"] == json!([])
                && leads(default, "default")
                && leads(of_audit, "audit")
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
    cluster.leader().await;
    cluster.create("audit", "builtin:stdout").await;
    let before = cluster.leads("audit", SOON).await;
    let [from, to] = [before, 1 - before].map(|place| cluster.node(place).name.as_str());
    let of_audit = "/streams/audit/api/v1/cluster";
    shows(&cluster, 0, of_audit, |it| latest(it) == from).await;
    eventually("it moves", SOON, || async {
        match sluice(&cluster, &["stream", "move", "audit", "--to", to]).await {
            (Some(0), ..) => Ok(()),
            // The nodes have moved it themselves.
            (_, _, said) if said.contains("already leads") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for place in 0..2 {
        shows(&cluster, place, of_audit, |it| {
            let all = it["tenures"].as_array().unwrap();
            let [.., first, second] = all.as_slice() else {
                return false;
            };
            (&first["node"], &second["node"]) == (&json!(from), &json!(to))
                && first["until"].is_string()
                && second["until"].is_null()
                && first["epoch"].as_u64() < second["epoch"].as_u64()
        })
        .await;
        // The epochs of the other stream are none of the default one, which may have been
        // moved too.
        let of_audit = epochs(&cluster, place, of_audit).await;
        let of_default = epochs(&cluster, place, "/api/v1/cluster").await;
        assert!(!of_default.is_empty());
        assert!(
            of_audit.iter().all(|epoch| !of_default.contains(epoch)),
            "{of_audit:?} and {of_default:?}"
        );
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
    for path in READS.into_iter().chain([STREAMS]) {
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
    cluster.create("audit", "builtin:stdout").await;
    cluster.leads("audit", SOON).await;
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
    let act = |client: &'static str, epoch: &Value| {
        let request = cluster.http.post(cluster.node(0).url(path));
        let request = request.bearer_auth(client).json(&json!({"epoch": epoch}));
        async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    assert_eq!(act("token-of-auditor", &json!(0)).await.0, 403);
    // The nodes may just be moving it themselves.
    eventually("the stream's leader steps down", SOON, || async {
        let row = cluster.stream_at(0, "audit").await.unwrap();
        let (status, text) = act("token-of-on-call", &row["epoch"]).await;
        let begun: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        match status == 200 && begun["epoch"] == row["tenure"] {
            true => Ok(()),
            false => Err(format!("{row}: {status}: {text}")),
        }
    })
    .await;
    cluster.leads("audit", SOON).await;
    let status = ["status", "--stream", "audit"];
    let (code, out, err) = as_client(&cluster, 0, "auditor", &status).await;
    assert_eq!(code, Some(0), "{out}{err}");
}
