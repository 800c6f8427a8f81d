//! Dead letters are kept, listed, replayed and purged.

use serde_json::Value;

use crate::sink::{beside_others, verdict};
use crate::support::{Cluster, guest, sluice};

async fn poisoned(nodes: usize) -> Cluster {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let plugin = format!("file://{}", file.display());
    let cluster = Cluster::start(nodes, &["--plugin", &plugin, "--plugin-dir", &folder]).await;
    let node = cluster.node(cluster.leader().await);
    for text in ["trap", "half a line, then trap"] {
        let (status, body) = verdict(node, text).await;
        assert_eq!(status, 422, "{body}");
    }
    cluster
}

async fn listed(cluster: &Cluster, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["dlq", "list", "--json"], arguments].concat();
    let (code, out, err) = sluice(cluster, &arguments).await;
    assert_eq!(code, Some(0), "{out}{err}");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn dead_letters_can_be_found_shown_and_replayed() {
    let cluster = poisoned(2).await;
    let leader = cluster.leader().await;
    let name = cluster.node(leader).name.clone();
    let letters = listed(&cluster, &[]).await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    let bodies: Vec<_> = letters
        .iter()
        .map(|l| l["record"]["body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies, ["trap", "half a line, then trap"]);
    for letter in &letters {
        assert_eq!(letter["node"], name, "{letter}");
        assert_eq!(letter["cause"], "poison", "{letter}");
        assert!(
            letter["plugin"]["source"]
                .as_str()
                .unwrap()
                .ends_with("misbehave.wasm")
        );
        assert!(
            letter["reason"].as_str().unwrap().contains("trapped"),
            "{letter}"
        );
    }
    let id = letters[0]["id"].as_str().unwrap();
    let (code, out, _) = sluice(&cluster, &["dlq", "show", id]).await;
    assert_eq!(code, Some(0));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), letters[0]);
    let (code, out, _) = sluice(&cluster, &["dlq", "list"]).await;
    assert!(
        code == Some(0) && out.contains("trap") && out.contains(id),
        "{out}"
    );

    for (filter, count) in [
        (["--reason", "trapped"], 2),
        (["--reason", "memory"], 0),
        (["--plugin", "misbehave"], 2),
        (["--plugin", "builtin"], 0),
        (["--since", "1h"], 2),
        (["--since", "2999-01-01T00:00:00Z"], 0),
        (["--node", &name], 2),
        (["--node", "nobody"], 0),
    ] {
        assert_eq!(listed(&cluster, &filter).await.len(), count, "{filter:?}");
    }

    // Replay them to a sink that accepts them.
    cluster
        .consul
        .put("kv/sluice/plugin", "builtin:stdout")
        .await;
    let node = cluster.node(leader);
    node.until("the other sink runs", |status| {
        status["plugin"]["active"]["source"] == "builtin:stdout"
            && status["plugin"]["active"]["state"] == "running"
    })
    .await;
    let (code, out, err) = sluice(&cluster, &["dlq", "replay", "--all"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("replayed 2 of 2"), "{out}");
    node.wrote("\ntrap\nhalf a line, then trap\n").await;
    assert!(listed(&cluster, &[]).await.is_empty());
}

#[tokio::test]
async fn dead_letters_outlive_their_node_and_can_be_purged() {
    let mut cluster = poisoned(1).await;
    let (code, _, err) = sluice(&cluster, &["dlq", "purge"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("--all"), "{err}");
    let (code, _, err) = sluice(&cluster, &["dlq", "show", "9-9"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("9-9"), "{err}");

    cluster.nodes[0].process.kill();
    let data_dir = cluster.folder.path().join("data/a").display().to_string();
    let here = ["--data-dir", data_dir.as_str()];
    let letters = listed(&cluster, &here).await;
    assert_eq!(letters.len(), 2);
    let id = letters[1]["id"].as_str().unwrap();
    let (code, out, err) = sluice(&cluster, &[&["dlq", "purge", id][..], &here].concat()).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("removed 1"), "{out}");

    cluster.nodes.clear();
    cluster.add("a").await;
    let letters = listed(&cluster, &[]).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["record"]["body"], "trap");
    let (code, out, _) = sluice(&cluster, &["dlq", "purge", "--reason", "trapped"]).await;
    assert!(code == Some(0) && out.contains("removed 1"), "{out}");
    assert!(listed(&cluster, &[]).await.is_empty());
}

#[tokio::test]
async fn replayed_poison_stays_a_dead_letter() {
    let cluster = poisoned(1).await;
    let node = cluster.node(0);
    let replay = sluice(&cluster, &["dlq", "replay", "--all"]);
    let (code, out, err) = beside_others(node, replay).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("trapped"), "{err}");
    assert_eq!(listed(&cluster, &[]).await.len(), 2);
}

#[tokio::test]
async fn nobody_without_the_secret_gets_at_dead_letters() {
    let cluster = poisoned(1).await;
    let node = cluster.node(0);
    let url = node.url("/internal/v1/dead-letters");
    for signature in [None, Some("1.00"), Some("x")] {
        let mut request = cluster.http.get(&url);
        if let Some(signature) = signature {
            request = request.header("sluice-signature", signature);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{signature:?}");
    }
    for path in ["/internal/v1/records", "/internal/v1/dead-letters/remove"] {
        let (status, _) = node.post(path, "application/json", "[]").await;
        assert_eq!(status, 401, "{path}");
    }
    let key = cluster.consul.value("sluice/secret").await.unwrap();
    assert_eq!(key.len(), 64, "{key}");
}
