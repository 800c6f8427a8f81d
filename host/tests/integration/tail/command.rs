//! `sluice tail` beside a cluster.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Cluster, Process, SOON, eventually, sluice};

/// Starts `sluice tail`, and waits until it watches the records of this node.
async fn tail(cluster: &Cluster, name: &str, arguments: &[&str], leader: &str) -> Process {
    let mut command = cluster.command();
    command.arg("tail").args(arguments);
    let process = Process::start(name, cluster.folder.path(), &mut command);
    watches(&process, leader, 1).await;
    process
}

/// Waits until it has begun so many times to watch the records of this node.
async fn watches(process: &Process, leader: &str, times: usize) {
    let text = format!("watching what passes on {leader}, which leads");
    eventually("it watches", SOON, || async {
        let said = process.stderr();
        match said.matches(&text).count() >= times {
            true => Ok(()),
            false => Err(said),
        }
    })
    .await;
}

async fn printed(process: &Process, text: &str) -> String {
    eventually(&format!("{text:?} is printed"), SOON, || async {
        let stdout = process.stdout();
        let line = stdout.lines().find(|line| line.contains(text));
        line.map(str::to_owned).ok_or(stdout.clone())
    })
    .await
}

#[tokio::test]
async fn the_command_prints_what_is_asked_for_until_it_is_interrupted() {
    let cluster = Cluster::start(2, &[]).await;
    let leader = cluster.node(cluster.leader().await);
    let follower = cluster.node(cluster.follower().await);
    let name = &leader.name;
    let through = ["--node", &follower.name];
    let mut lines = tail(&cluster, "lines", &through, name).await;
    let chosen = ["--json", "--severity", "warn", "--attribute", "host=web-1"];
    let mut json = tail(&cluster, "json", &chosen, name).await;
    let body = [
        r#"{"body":"other","level":"warn"}"#,
        r#"{"body":"a \u001b[31mred\u001b[0m one","level":"error","host":"web-1"}"#,
    ];
    let (status, answer) = leader
        .post("/api/v1/logs", "application/x-ndjson", body.join("\n"))
        .await;
    assert_eq!(status, 200, "{answer}");
    let line = printed(&lines, "one").await;
    assert!(line.contains(" ERROR delivered "), "{line}");
    assert!(line.contains(r"a \u{1b}[31mred\u{1b}[0m one"), "{line}");
    assert!(line.ends_with(" host=web-1"), "{line}");
    assert!(printed(&lines, "other").await.contains(" WARN  delivered "));
    let record: Value = serde_json::from_str(&printed(&json, "one").await).unwrap();
    assert_eq!(record["attributes"]["host"], "web-1", "{record}");
    assert_eq!(record["outcome"], "delivered", "{record}");
    assert_eq!(json.stdout().lines().count(), 1);
    for process in [&mut lines, &mut json] {
        process.signal(Signal::INT);
        assert_eq!(process.wait(SOON).await.code(), Some(0));
    }
}

#[tokio::test]
async fn the_command_goes_on_with_another_node() {
    let mut cluster = Cluster::start(2, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let process = tail(&cluster, "goes-on", &[], &cluster.node(leader).name).await;
    cluster.nodes[leader].process.kill();
    let other = cluster.nodes[follower].name.clone();
    watches(&process, &other, 1).await;
    assert!(process.stderr().contains("lost the node"));
    cluster.acknowledged("after").await;
    printed(&process, "after").await;
}

#[tokio::test]
async fn mistakes_are_told() {
    let cluster = Cluster::start(1, &[]).await;
    for (arguments, code, text) in [
        (["--stream", "other"], 1, "this node has no such stream"),
        (["--limit", "0"], 1, "the limit must be from 1 to 1000"),
        (["--severity", "loud"], 2, "expected trace"),
        (["--attribute", "host"], 2, "expected NAME=VALUE"),
        (
            ["--node", "z"],
            1,
            "there is none of this name; there are a",
        ),
        (["--cluster", "none"], 1, "there is no key"),
    ] {
        let (found, out, err) = sluice(&cluster, &[&["tail"], &arguments[..]].concat()).await;
        assert_eq!(found, Some(code), "{out}{err}");
        assert!(err.contains(text), "{err}");
    }
}
