//! Who may do what: tokens with scopes and quotas, and the audit log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::support::{Cluster, Consul, Options, SOON, eventually, sluice};

/// Nodes that share a file of tokens.
pub(crate) struct Nodes {
    pub(crate) cluster: Cluster,
    file: PathBuf,
}

/// An entry of the file.
pub(crate) fn client(name: &str, scope: &str, more: &str) -> String {
    let digest = hex::encode(Sha256::digest(format!("token-of-{name}")));
    format!("[[token]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nscopes = [\"{scope}\"]\n{more}\n")
}

impl Nodes {
    async fn start(count: usize, tokens: &str) -> Self {
        Self::start_with(count, tokens, &[]).await
    }

    pub(crate) async fn start_with(count: usize, tokens: &str, flags: &[&str]) -> Self {
        let mut cluster = Cluster::on(Consul::start().await, 0, flags).await;
        let file = cluster.folder.path().join("tokens.toml");
        fs::write(&file, tokens).unwrap();
        for name in ["a", "b", "c"].into_iter().take(count) {
            let log = cluster.folder.path().join(format!("audit-{name}.log"));
            let (tokens, log) = (file.to_str().unwrap(), log.to_str().unwrap());
            let options = Options::with(&["--tokens", tokens, "--audit-log", log]);
            cluster.add_with(name, options).await;
        }
        cluster.leader().await;
        Self { cluster, file }
    }

    /// The file of tokens.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Sends a line as this client.
    pub(crate) async fn send(&self, place: usize, path: &str, name: &str, body: &str) -> Response {
        let request = self.cluster.http.post(self.cluster.node(place).url(path));
        let request = request
            .bearer_auth(format!("token-of-{name}"))
            .header("content-type", content_type(path));
        request.body(body.to_owned()).send().await.unwrap()
    }

    /// Waits for a line of a node's audit log.
    pub(crate) async fn audited(
        &self,
        place: usize,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        let name = &self.cluster.node(place).name;
        let file = self.cluster.folder.path().join(format!("audit-{name}.log"));
        eventually(what, SOON, || async {
            let text = fs::read_to_string(&file).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let found = lines.into_iter().find(|line| is_it(line));
            found.ok_or(text)
        })
        .await
    }
}

fn content_type(path: &str) -> &'static str {
    match path {
        "/api/v1/log" | "/api/v1/logs" => "text/plain",
        _ => "application/json",
    }
}

/// A line as Loki's clients push it.
fn pushed(text: &str) -> String {
    format!(
        r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[["1700000000000000000","{text}"]]}}]}}"#
    )
}

pub(crate) const LOG: &str = "/api/v1/log";
const PUSH: &str = "/loki/api/v1/push";

#[tokio::test]
async fn a_token_allows_what_its_scopes_and_streams_say() {
    let tokens = client("web", "send", "")
        + &client("viewer", "read", "")
        + &client("other", "send", "streams = [\"audit\"]");
    let nodes = Nodes::start(2, &tokens).await;
    let follower = nodes.cluster.follower().await;
    let leader = nodes.cluster.leader().await;
    for (path, body) in [(LOG, "by-the-api".to_owned()), (PUSH, pushed("by-loki"))] {
        assert!(
            nodes
                .send(leader, path, "web", &body)
                .await
                .status()
                .is_success()
        );
        for name in ["nobody", "viewer", "other"] {
            let answer = nodes.send(leader, path, name, &body).await;
            assert!(
                [401, 403].contains(&answer.status().as_u16()),
                "{path} {name}: {answer:?}"
            );
        }
    }
    let answer = nodes.send(leader, LOG, "viewer", "x").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.text().await.unwrap().contains("scope \"send\""));
    let answer = nodes.send(leader, LOG, "nobody", "x").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    // A follower checks the token itself, and relays without it.
    let answer = nodes
        .send(follower, PUSH, "web", &pushed("by-a-follower"))
        .await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    nodes.cluster.node(leader).wrote("by-a-follower").await;
    let line = nodes
        .audited(leader, "the refusal is in the audit log", |line| {
            line["who"] == "viewer" && line["what"] == "send native"
        })
        .await;
    assert_eq!(line["outcome"], "refused");
    assert_eq!(line["from"], "127.0.0.1");
    let text = fs::read_to_string(nodes.cluster.folder.path().join("audit-a.log")).unwrap();
    assert!(!text.contains("token-of"), "{text}");
}

#[tokio::test]
async fn tokens_are_read_again_when_the_file_changes() {
    let nodes = Nodes::start(1, &client("web", "send", "")).await;
    assert_eq!(nodes.send(0, LOG, "new", "x").await.status(), 401);
    fs::write(&nodes.file, client("new", "send", "")).unwrap();
    eventually("the new token counts", SOON, || async {
        match nodes.send(0, LOG, "new", "x").await.status() {
            StatusCode::OK => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(nodes.send(0, LOG, "web", "x").await.status(), 401);
    // A file that is broken changes nothing.
    fs::write(&nodes.file, "[[token]]\nname = 3").unwrap();
    eventually("the broken file is logged", SOON, || async {
        let log = nodes.cluster.node(0).process.stderr();
        match log.contains("using the tokens as they were before") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    assert_eq!(nodes.send(0, LOG, "new", "x").await.status(), 200);
}

#[tokio::test]
async fn a_client_above_its_quota_is_told_when_to_come_again_and_others_are_not() {
    let tokens = client("noisy", "send", "records_per_second = 10") + &client("web", "send", "");
    let nodes = Nodes::start(1, &tokens).await;
    let many = "x\n".repeat(35);
    assert_eq!(
        nodes.send(0, "/api/v1/logs", "noisy", &many).await.status(),
        200
    );
    let started = Instant::now();
    let answer = nodes.send(0, LOG, "noisy", "x").await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert!(answer.text().await.unwrap().contains("more than its quota"));
    assert_eq!(nodes.send(0, LOG, "web", "x").await.status(), 200);
    // What it was told is enough.
    tokio::time::sleep_until(started + Duration::from_secs(wait)).await;
    assert_eq!(nodes.send(0, LOG, "noisy", "x").await.status(), 200);
}

#[tokio::test]
async fn of_requests_that_come_at_once_only_those_within_the_quota_are_taken() {
    let nodes = Nodes::start(1, &client("noisy", "send", "records_per_second = 10")).await;
    let many = "x\n".repeat(100);
    let sending = (0..40).map(|_| nodes.send(0, "/api/v1/logs", "noisy", &many));
    let answers = futures_util::future::join_all(sending).await;
    let taken = answers.iter().filter(|answer| answer.status() == 200);
    assert_eq!(taken.count(), 1);
    let refused = |answer: &&Response| answer.status() == StatusCode::TOO_MANY_REQUESTS;
    assert_eq!(answers.iter().filter(refused).count(), 39);
    nodes
        .audited(0, "the refusals are in the audit log", |line| {
            line["who"] == "noisy" && line["outcome"] == "refused"
        })
        .await;
    // On the routes of standard protocols they are slowed down before that, and told
    // then how long to wait.
    let answer = nodes.send(0, PUSH, "noisy", &pushed("x")).await;
    assert!(!answer.status().is_success(), "{answer:?}");
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((2..=10).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_follower_forwards_a_client_that_both_nodes_know() {
    let tokens = client("web", "send", "") + &client("noisy", "send", "records_per_second = 1");
    let nodes = Nodes::start_with(2, &tokens, &["--follower", "forward"]).await;
    let follower = nodes.cluster.follower().await;
    eventually("the follower forwards", SOON, || async {
        let answer = nodes.send(follower, LOG, "web", "forwarded").await;
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => Err(format!("{status} {}", answer.text().await.unwrap())),
        }
    })
    .await;
    nodes.cluster.node(1 - follower).wrote("forwarded\n").await;
    assert_eq!(nodes.send(follower, LOG, "nobody", "x").await.status(), 401);
    // The leader's quota counts, and what the leader says is what the client is told.
    let many = "x\n".repeat(20);
    let answer = nodes.send(follower, "/api/v1/logs", "noisy", &many).await;
    assert_eq!(answer.status(), 200);
    let answer = nodes.send(follower, LOG, "noisy", "x").await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((10..=20).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_leader_takes_nothing_of_a_client_that_it_does_not_know() {
    let mut nodes = Nodes::start_with(1, &client("web", "send", ""), &["--park", "200ms"]).await;
    let other = nodes.cluster.folder.path().join("other.toml");
    fs::write(
        &other,
        client("stranger", "send", "") + &client("web", "send", ""),
    )
    .unwrap();
    let options = Options::with(&["--tokens", other.to_str().unwrap()]);
    let follower = nodes.cluster.add_with("b", options).await;
    eventually("the follower relays", SOON, || async {
        let answer = nodes.send(follower, PUSH, "web", &pushed("known")).await;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    let answer = nodes
        .send(follower, PUSH, "stranger", &pushed("unknown"))
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let text = answer.text().await.unwrap();
    assert!(text.contains("does not know the client stranger"), "{text}");
    let line = nodes
        .audited(0, "the refusal is in the leader's audit log", |line| {
            line["who"] == "stranger" && line["what"] == "send loki"
        })
        .await;
    assert_eq!(line["outcome"], "refused");
    assert_eq!(line["from"], "127.0.0.1");
}

#[tokio::test]
async fn a_leader_takes_nothing_of_a_client_that_no_node_has_checked() {
    let flags = ["--park", "200ms", "--follower", "forward"];
    let mut nodes = Nodes::start_with(1, &client("web", "send", ""), &flags).await;
    // It lets everybody send.
    let open = nodes.cluster.add_with("b", Options::default()).await;
    for (path, body) in [(LOG, "unchecked".to_owned()), (PUSH, pushed("unchecked"))] {
        eventually("the leader refuses", SOON, || async {
            let answer = nodes.send(open, path, "nobody", &body).await;
            let status = answer.status();
            assert!(!status.is_success(), "{path}: {status}");
            let text = answer.text().await.unwrap();
            let is_told = status == 503 && text.contains("knows no client for it");
            is_told.then_some(()).ok_or(text)
        })
        .await;
    }
    nodes
        .audited(0, "the refusal is in the leader's audit log", |line| {
            line["who"] == Value::Null && line["what"] == "send loki"
        })
        .await;
    let answer = nodes.send(0, LOG, "web", "checked").await;
    assert_eq!(answer.status(), StatusCode::OK);
    nodes.cluster.node(0).wrote("checked\n").await;
    assert!(!nodes.cluster.output().contains("unchecked"));
}

#[tokio::test]
async fn who_watches_is_cut_off_when_the_token_is_revoked() {
    let tokens = client("viewer", "read", "") + &client("web", "send", "");
    let nodes = Nodes::start(1, &tokens).await;
    let url = nodes.cluster.node(0).url("/api/v1/tail");
    let request = nodes.cluster.http.get(url).bearer_auth("token-of-viewer");
    let mut watched = request.send().await.unwrap();
    assert_eq!(watched.status(), 200);
    // A change of something else ends nothing.
    fs::write(&nodes.file, tokens + &client("other", "send", "")).unwrap();
    eventually("the file is read again", SOON, || async {
        match nodes.send(0, LOG, "other", "seen").await.status() {
            StatusCode::OK => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    let seen = async {
        let mut seen = String::new();
        while !seen.contains("seen") {
            let piece = watched.chunk().await.unwrap().expect("it goes on");
            seen += std::str::from_utf8(&piece).unwrap();
        }
    };
    tokio::time::timeout(SOON, seen).await.unwrap();
    fs::write(&nodes.file, client("web", "send", "")).unwrap();
    let ended = async { while watched.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(SOON, ended).await.unwrap();
}

#[tokio::test]
async fn clients_of_standard_protocols_are_slowed_down_by_the_leaders_quota() {
    let nodes = Nodes::start(2, &client("noisy", "send", "records_per_second = 2")).await;
    let follower = nodes.cluster.follower().await;
    let started = Instant::now();
    // Two at once, and then one each half second.
    for number in 0..6 {
        let place = if number % 2 == 0 {
            follower
        } else {
            1 - follower
        };
        let answer = nodes.send(place, PUSH, "noisy", &pushed("x")).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{answer:?}");
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(1500), "{took:?}");
}

#[tokio::test]
async fn reading_and_actions_need_their_scopes_on_every_node() {
    let tokens =
        client("web", "send", "") + &client("viewer", "read", "") + &client("on-call", "admin", "");
    let nodes = Nodes::start(2, &tokens).await;
    let leader = nodes.cluster.leader().await;
    for place in 0..2 {
        for path in ["/api/v1/cluster", "/api/v1/history", "/api/v1/dead-letters"] {
            let url = nodes.cluster.node(place).url(path);
            let asked = nodes.cluster.http.get(&url).send().await.unwrap();
            assert_eq!(asked.status(), 401, "{path}");
            for (name, status) in [("viewer", 200), ("web", 403), ("on-call", 403)] {
                let asked = nodes.cluster.http.get(&url);
                let asked = asked.bearer_auth(format!("token-of-{name}"));
                assert_eq!(
                    asked.send().await.unwrap().status(),
                    status,
                    "{path} {name}"
                );
            }
        }
    }
    let status = nodes.cluster.node(leader).status().await.unwrap();
    let order = format!("{{\"epoch\":{}}}", status["epoch"]);
    let step_down = |name: &'static str| {
        let order = order.clone();
        let nodes = &nodes;
        async move {
            nodes
                .send(1 - leader, "/api/v1/step-down", name, &order)
                .await
        }
    };
    assert_eq!(step_down("viewer").await.status(), 403);
    let answer = step_down("on-call").await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let line = nodes
        .audited(1 - leader, "the action is in the audit log", |line| {
            line["who"] == "on-call" && line["what"] == "step down"
        })
        .await;
    assert_eq!(line["outcome"], "done");
}

#[tokio::test]
async fn what_the_command_line_does_is_audited() {
    let nodes = Nodes::start(2, &client("web", "send", "")).await;
    let leader = nodes.cluster.leader().await;
    let (code, out, err) = sluice(&nodes.cluster, &["step-down"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    let line = nodes
        .audited(leader, "the hand-over is in the audit log", |line| {
            line["what"] == "step down"
        })
        .await;
    assert_eq!(line["outcome"], "done");
}

#[tokio::test]
async fn a_file_of_tokens_that_cannot_be_used_is_explained() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let file = cluster.folder.path().join("tokens.toml");
    fs::write(&file, client("web", "write", "")).unwrap();
    let options = Options::with(&["--tokens", file.to_str().unwrap()]);
    let mut process = cluster.spawn("a", options);
    assert!(!process.wait(SOON).await.success());
    let log = process.stderr();
    assert!(
        log.contains("tokens.toml") && log.contains("write"),
        "{log}"
    );
}
