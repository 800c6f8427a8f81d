//! An operator with a token and without access to Consul.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Cluster, Consul, Options, Process, SOON, eventually, guest};

/// An entry of the nodes' file of tokens.
pub(crate) fn client(name: &str, scopes: &str) -> String {
    let digest = hex::encode(Sha256::digest(format!("token-of-{name}")));
    format!("[[token]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nscopes = [{scopes}]\n")
}

/// Writes the token of a client where only its owner reads it, and returns its path.
pub(crate) fn token_file(folder: &Path, name: &str) -> String {
    let file = folder.join(format!("token-{name}"));
    fs::write(&file, format!("token-of-{name}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

/// Nodes with tokens and these arguments.
pub(crate) async fn nodes(count: usize, arguments: &[&str]) -> Cluster {
    let mut cluster = Cluster::on(Consul::start().await, 0, &[]).await;
    let file = cluster.folder.path().join("tokens.toml");
    let tokens = client("web", "\"send\"")
        + &client("viewer", "\"read\"")
        + &client("on-call", "\"read\", \"admin\"")
        + &client("switch", "\"admin\"");
    fs::write(&file, tokens).unwrap();
    let tokens = ["--tokens", file.to_str().unwrap()];
    let arguments = [&tokens, arguments].concat();
    for name in ["a", "b", "c"].into_iter().take(count) {
        cluster.add_with(name, Options::with(&arguments)).await;
    }
    cluster.leader().await;
    cluster
}

/// Runs a command as this client at a node, where no Consul can be reached.
pub(crate) async fn as_client(
    cluster: &Cluster,
    place: usize,
    name: &str,
    arguments: &[&str],
) -> (Option<i32>, String, String) {
    let file = token_file(cluster.folder.path(), name);
    let mut command = cluster.command();
    command
        .env("CONSUL_HTTP_ADDR", "127.0.0.1:1")
        .args(arguments);
    command.args(["--url", &cluster.node(place).url(""), "--token-file", &file]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Runs a command that must succeed.
async fn done(cluster: &Cluster, place: usize, name: &str, arguments: &[&str]) -> String {
    let (code, out, err) = as_client(cluster, place, name, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
    out
}

/// Sends a line as the client that may send, and returns the status of the answer.
async fn send(cluster: &Cluster, place: usize, text: &str) -> u16 {
    let request = cluster.http.post(cluster.node(place).url("/api/v1/log"));
    let request = request.bearer_auth("token-of-web").body(text.to_owned());
    request.send().await.unwrap().status().as_u16()
}

/// Sends a line that breaks the sink, beside others that do not.
async fn set_aside(cluster: &Cluster, place: usize, text: &str) {
    let mut verdict = Box::pin(send(cluster, place, text));
    loop {
        tokio::select! {
            status = &mut verdict => return assert_eq!(status, 422, "{text}"),
            status = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                send(cluster, place, "another").await
            } => assert_eq!(status, 200),
        }
    }
}

#[tokio::test]
async fn a_token_is_enough_to_look_at_the_cluster() {
    let cluster = nodes(2, &[]).await;
    let follower = cluster.follower().await;
    let leader = &cluster.node(cluster.leader().await).name;
    let status = done(&cluster, follower, "viewer", &["status"]).await;
    assert!(status.contains(&format!("{leader} leads at")), "{status}");
    let status = done(&cluster, follower, "viewer", &["status", "--json"]).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["nodes"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(status["leader"]["node"], leader.as_str());
    let plugin = done(&cluster, follower, "viewer", &["plugin", "history"]).await;
    assert!(plugin.contains("builtin:stdout"), "{plugin}");
    let list = done(&cluster, follower, "viewer", &["dlq", "list"]).await;
    assert!(list.starts_with("ID"), "{list}");
    done(&cluster, follower, "viewer", &["rejects"]).await;

    // Without a name for a node, Consul names one; the cluster's secret is not needed.
    let file = token_file(cluster.folder.path(), "viewer");
    let mut command = cluster.command();
    command.arg("status").env("SLUICE_TOKEN_FILE", &file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn records_are_watched_with_a_token() {
    let cluster = nodes(2, &[]).await;
    let follower = cluster.node(cluster.follower().await);
    let leader = cluster.leader().await;
    let file = token_file(cluster.folder.path(), "viewer");
    let mut command = cluster.command();
    command.env("CONSUL_HTTP_ADDR", "127.0.0.1:1");
    let url = follower.url("");
    command.args(["tail", "--json", "--url", &url, "--token-file", &file]);
    let process = Process::start("tail", cluster.folder.path(), &mut command);
    eventually("the record is shown", SOON, || async {
        assert_eq!(send(&cluster, leader, "seen by a token").await, 200);
        match process.stdout().contains("seen by a token") {
            true => Ok(()),
            false => Err(process.stderr()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_with_the_scope_replays_and_purges_and_changes_the_leader() {
    let plugin = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let arguments = ["--plugin", &plugin, "--plugin-dir", &folder];
    let cluster = nodes(2, &arguments).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    for text in ["trap", "half a line, then trap"] {
        set_aside(&cluster, leader, text).await;
    }
    let list = done(&cluster, follower, "on-call", &["dlq", "list", "--json"]).await;
    let letters: Vec<Value> = list
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(letters.len(), 2, "{list}");
    assert_eq!(letters[0]["body"], "trap", "oldest first: {list}");
    let id = letters[0]["id"].as_str().unwrap();
    let shown = done(&cluster, follower, "viewer", &["dlq", "show", id]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["record"]["body"], "trap");
    assert_eq!(shown["node"], cluster.node(leader).name.as_str());

    let purged = done(&cluster, follower, "on-call", &["dlq", "purge", id]).await;
    assert!(purged.contains("removed 1 dead letters"), "{purged}");
    cluster.ask("builtin:stdout").await;
    cluster.runs_what_is_asked_for().await;
    let replayed = done(&cluster, follower, "on-call", &["dlq", "replay", "--all"]).await;
    assert!(replayed.contains("replayed 1 of 1"), "{replayed}");
    cluster.node(leader).wrote("half a line, then trap").await;

    let back = ["plugin", "rollback", "--yes", "--wait"];
    done(&cluster, follower, "on-call", &back).await;
    let asked = cluster.consul.value("sluice/plugin").await.unwrap();
    assert_eq!(asked, plugin);
    let down = done(&cluster, follower, "switch", &["step-down"]).await;
    let next = &cluster.node(follower).name;
    assert!(down.contains(&format!("{next} leads now")), "{down}");
}

#[tokio::test]
async fn a_refusal_says_which_scope_is_missing() {
    let cluster = nodes(1, &[]).await;
    for (name, arguments, expected) in [
        ("web", &["status"][..], "scope \"read\""),
        ("viewer", &["step-down"][..], "scope \"admin\""),
        (
            "stranger",
            &["dlq", "list"][..],
            "does not know the token in",
        ),
        ("on-call", &["dlq", "replay", "9-9"][..], "dead letter 9-9"),
    ] {
        let (code, _, err) = as_client(&cluster, 0, name, arguments).await;
        assert_eq!(code, Some(1), "{name}: {err}");
        assert!(err.contains(expected), "{name}: {err}");
        assert!(!err.contains("token-of-"), "no token is shown: {err}");
    }
    let url = cluster.node(0).url("");
    let empty = cluster.folder.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let open = cluster.folder.path().join("open");
    fs::write(&open, "token-of-viewer").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    for (file, code, expected) in [
        ("missing", 1, "read the token file missing"),
        (empty.to_str().unwrap(), 1, "it is empty"),
        (
            open.to_str().unwrap(),
            0,
            "every user of this machine can read",
        ),
    ] {
        let mut command = cluster.command();
        command.args(["status", "--url", &url, "--token-file", file]);
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{file}: {err}");
        assert!(err.contains(expected), "{file}: {err}");
    }
    let output = cluster.command().args(["status", "--url", &url]).output();
    let err = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(err.contains("wants a token"), "{err}");
}
