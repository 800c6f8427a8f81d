//! The examples in docs/deploy work. (The tests of `tls` apply the policy.)

use std::fs;

use crate::support::{Cluster, Consul, Options, deploy};

#[tokio::test]
async fn the_example_of_a_configuration_runs_a_node() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let file = deploy("sluice.toml").display().to_string();
    let sinks = cluster.folder.path().display().to_string();
    // Flags for what depends on this machine override the file.
    let options = Options::with(&[
        "--config",
        &file,
        "--health-listen",
        "127.0.0.1:0",
        "--plugin-dir",
        &sinks,
    ]);
    cluster.add_with("a", options).await;
    let leader = cluster.leader().await;
    assert_eq!(cluster.node(leader).log("hello").await.0, 200);
    // The file asks for JSON logs.
    let log = cluster.node(leader).process.stderr();
    assert!(!log.is_empty(), "it logs nothing");
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["message"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn the_settings_that_it_only_mentions_exist() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let text = fs::read_to_string(deploy("sluice.toml")).unwrap();
    let is_setting = |line: &&str| {
        let key = line.split_once(" = ").map(|(key, _)| key);
        key.is_some_and(|key| !key.contains(' '))
    };
    let all: Vec<_> = text
        .lines()
        .map(|line| line.trim_start_matches('#'))
        .filter(is_setting)
        .collect();
    assert!(all.len() > 15, "{all:?}");
    let file = cluster.folder.path().join("all.toml");
    fs::write(&file, all.join("\n")).unwrap();
    let mut command = cluster.command();
    let help = command.args(["node", "--help", "--config"]).arg(file);
    let output = help.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
