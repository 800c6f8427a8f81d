//! What an administrator does over HTTP, and what the audit log says of it.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::access::{LOG, Nodes, client};
use crate::support::{SOON, eventually, guest};

/// Two nodes with a sink that traps when it is told to, and clients of each scope.
async fn nodes() -> Nodes {
    let tokens =
        client("web", "send", "") + &client("viewer", "read", "") + &client("on-call", "admin", "");
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let plugin = format!("file://{}", file.display());
    Nodes::start_with(2, &tokens, &["--plugin", &plugin, "--plugin-dir", &folder]).await
}

impl Nodes {
    /// Makes a dead letter at the leader.
    async fn poison(&self, text: &str) {
        let leader = self.cluster.leader().await;
        let mut poisoned = Box::pin(self.send(leader, LOG, "web", text));
        // A message is blamed for a broken sink only once the sink has taken another one.
        let answer = loop {
            tokio::select! {
                answer = &mut poisoned => break answer,
                () = async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let answer = self.send(leader, LOG, "web", "another").await;
                    assert_eq!(answer.status(), 200);
                } => {}
            }
        };
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn read(&self, place: usize, path: &str) -> Value {
        let request = self.cluster.http.get(self.cluster.node(place).url(path));
        let answer = request.bearer_auth("token-of-viewer").send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// All dead letters, as an action names them.
    async fn letters(&self, place: usize) -> Vec<Value> {
        let list = self.read(place, "/api/v1/dead-letters").await;
        let letters = list["letters"].as_array().unwrap().iter();
        letters
            .map(|letter| json!({"node": letter["node"], "id": letter["id"]}))
            .collect()
    }

    async fn act(&self, place: usize, path: &str, wanted: &Value) -> Response {
        self.send(place, path, "on-call", &wanted.to_string()).await
    }

    /// Waits until an action is in the audit log of a node, and says what came of it.
    async fn outcome(&self, place: usize, what: &'static str) -> (String, String) {
        let line = self
            .audited(place, what, |line| {
                line["what"] == what && line["who"] == "on-call"
            })
            .await;
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("detail"))
    }
}

async fn answer(response: Response) -> Value {
    let (status, body) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn letters_are_replayed_and_purged_and_a_plugin_is_rolled_back() {
    let nodes = nodes().await;
    let leader = nodes.cluster.leader().await;
    nodes.poison("trap").await;
    nodes.poison("half a line, then trap").await;
    let letters = nodes.letters(1 - leader).await;
    assert_eq!(letters.len(), 2);
    // At the leader, whose letters they are, and at the other node.
    let purged = json!({"letters": [letters[0]]});
    let purged = nodes
        .act(leader, "/api/v1/dead-letters/purge", &purged)
        .await;
    assert_eq!(answer(purged).await, json!({"removed": 1}));
    let done = ("done".to_owned(), "1".to_owned());
    assert_eq!(nodes.outcome(leader, "purge dead letters").await, done);

    let before = nodes.read(leader, "/api/v1/plugin").await;
    assert_eq!(before["rollback"], Value::Null, "{before}");
    nodes.cluster.ask("builtin:stdout").await;
    nodes.cluster.runs_what_is_asked_for().await;
    let replayed = json!({"letters": [letters[1]]});
    let replayed = nodes
        .act(1 - leader, "/api/v1/dead-letters/replay", &replayed)
        .await;
    assert_eq!(answer(replayed).await["confirmed"], 1);
    nodes.cluster.node(leader).wrote("trap\n").await;
    assert_eq!(nodes.outcome(1 - leader, "replay dead letters").await, done);
    nodes
        .audited(
            leader,
            "the leader has the records in its audit log",
            |line| line["what"] == "send records again" && line["outcome"] == "done",
        )
        .await;
    assert!(nodes.letters(leader).await.is_empty());

    let wanted = eventually("there is something to roll back to", SOON, || async {
        let shown = nodes.read(leader, "/api/v1/plugin").await;
        let (manifest, index) = (&shown["rollback"]["manifest"], &shown["asked"]["index"]);
        match manifest.is_string() {
            true => Ok(json!({"manifest": manifest, "index": index})),
            false => Err(shown.to_string()),
        }
    })
    .await;
    let rolled_back = nodes
        .act(1 - leader, "/api/v1/plugin/rollback", &wanted)
        .await;
    let manifest = wanted["manifest"].as_str().unwrap();
    assert_eq!(answer(rolled_back).await["manifest"], manifest);
    assert_eq!(
        nodes.cluster.consul.value("sluice/plugin").await.unwrap(),
        manifest
    );
    assert_eq!(
        nodes.outcome(1 - leader, "roll the plugin back").await.0,
        "done"
    );
}

#[tokio::test]
async fn an_action_goes_on_when_its_client_hangs_up_and_is_in_the_audit_log() {
    let nodes = nodes().await;
    let leader = nodes.cluster.leader().await;
    nodes.poison("trap").await;
    let letters = json!({"letters": nodes.letters(1 - leader).await});
    // The node that has the letters does not answer for a while.
    let frozen = &nodes.cluster.node(leader).process;
    frozen.signal(Signal::STOP);
    let url = nodes
        .cluster
        .node(1 - leader)
        .url("/api/v1/dead-letters/purge");
    let request = nodes.cluster.http.post(url).json(&letters);
    let request = request.bearer_auth("token-of-on-call");
    let hung_up = request.timeout(Duration::from_millis(300)).send().await;
    assert!(hung_up.is_err(), "{hung_up:?}");
    let (outcome, detail) = nodes.outcome(1 - leader, "purge dead letters").await;
    assert_eq!(outcome, "failed", "{detail}");
    frozen.signal(Signal::CONT);
}

#[tokio::test]
async fn no_web_page_of_another_origin_acts_even_if_it_may_send_records() {
    let tokens = client("on-call", "admin", "");
    let origin = "https://app.example.com";
    let nodes = Nodes::start_with(1, &tokens, &["--allow-origin", origin]).await;
    let node = nodes.cluster.node(0);
    let order = json!({"epoch": node.status().await.unwrap()["epoch"]});
    let request = |content_type: &'static str| {
        let request = nodes.cluster.http.post(node.url("/api/v1/step-down"));
        let request = request.bearer_auth("token-of-on-call");
        let request = request.header("content-type", content_type);
        request.body(order.to_string())
    };
    let foreign = request("application/json").header("origin", origin);
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    nodes
        .audited(0, "the refusal is in the audit log", |line| {
            line["what"] == "step down" && line["outcome"] == "refused"
        })
        .await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let answer = request(content_type).send().await.unwrap();
        assert_eq!(answer.status(), 415, "{content_type}");
    }
    // What is not signed is in the audit log, too.
    let unsigned = nodes.cluster.http.post(node.url("/internal/v1/step-down"));
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
    nodes
        .audited(0, "the unsigned request is in the audit log", |line| {
            line["what"] == "POST /internal/v1/step-down" && line["outcome"] == "refused"
        })
        .await;
}
