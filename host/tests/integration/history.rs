//! What went live is noted, and can be had again.

use serde_json::Value;

use crate::support::{Cluster, SOON, eventually, sluice};

/// The manifests that went live, the oldest first.
async fn history(cluster: &Cluster) -> Vec<String> {
    let (code, out, error) = sluice(cluster, &["plugin", "history", "--json"]).await;
    assert_eq!(code, Some(0), "{error}");
    let entries: Vec<Value> = serde_json::from_str(&out).unwrap();
    let manifests = entries.iter().map(|entry| entry["manifest"].as_str());
    manifests
        .map(|manifest| manifest.unwrap().to_owned())
        .collect()
}

async fn comes_to(cluster: &Cluster, expected: &[&str]) {
    eventually("the history says so", SOON, || async {
        let found = history(cluster).await;
        match found == expected {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_live_before_is_found_and_asked_for_again_after_a_change_of_leader() {
    let mut cluster = Cluster::start(2, &[]).await;
    let default = "builtin:stdout";
    comes_to(&cluster, &[default]).await;
    // Nothing else was live yet.
    let (code, _, error) = sluice(&cluster, &["plugin", "rollback", "--yes"]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("sluice plugin history"), "{error}");
    let other =
        r#"{"source":"builtin:stdout","config":{"format":"json"},"permissions":{"env":{"A":"1"}}}"#;
    cluster.ask(other).await;
    cluster.runs_what_is_asked_for().await;
    comes_to(&cluster, &[default, other]).await;
    let leader = cluster.leader().await;
    cluster.nodes[leader].process.terminate().await;
    drop(cluster.nodes.remove(leader));
    cluster.leader().await;
    let (code, out, error) = sluice(&cluster, &["plugin", "rollback", "--wait"]).await;
    assert_eq!(code, Some(0), "{out}{error}");
    comes_to(&cluster, &[default, other, default]).await;
    assert_eq!(
        cluster.consul.value("sluice/plugin").await.unwrap(),
        default
    );
    // And back, which gives the sink its variable again.
    let (code, out, error) = sluice(&cluster, &["plugin", "rollback", "--wait"]).await;
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("the variable A"), "{out}");
    comes_to(&cluster, &[default, other, default, other]).await;
    let (code, out, _) = sluice(&cluster, &["plugin", "history"]).await;
    assert_eq!(code, Some(0));
    assert!(out.lines().last().unwrap().starts_with('4'), "{out}");
}
