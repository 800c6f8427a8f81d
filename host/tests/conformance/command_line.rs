//! Runs the real `consul` command against both.

use std::process::Command;

use crate::subject::Subject;
use crate::support::program;

on_both!(
    keys_by_the_command,
    the_catalog_by_the_command,
    a_lock_by_the_command
);

impl Subject {
    /// Runs `consul` with these arguments. Returns whether it succeeded, and
    /// its output.
    fn consul_command(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program())
            .args(arguments)
            .env("CONSUL_HTTP_ADDR", &self.server.address)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    #[track_caller]
    fn consul_says(&self, arguments: &[&str], succeeds: bool, text: &str) {
        let (success, output) = self.consul_command(arguments);
        assert_eq!(
            (success, output.trim_end()),
            (succeeds, text),
            "{arguments:?}"
        );
    }
}

async fn keys_by_the_command(it: Subject) {
    let written = "Success! Data written to: cli/a";
    it.consul_says(&["kv", "put", "cli/a", "x"], true, written);
    it.consul_says(
        &["kv", "put", "-flags=7", "cli/b", "y"],
        true,
        "Success! Data written to: cli/b",
    );
    it.consul_says(&["kv", "get", "cli/a"], true, "x");
    it.consul_says(&["kv", "get", "-recurse", "cli"], true, "cli/a:x\ncli/b:y");
    it.consul_says(&["kv", "get", "-keys", "cli/"], true, "cli/a\ncli/b");
    it.consul_says(
        &["kv", "get", "none"],
        false,
        "Error! No key exists at: none",
    );
    let stale = ["kv", "put", "-cas", "-modify-index=1", "cli/a", "z"];
    it.consul_says(&stale, false, "Error! Did not write to cli/a: CAS failed");
    let index = it.index("/v1/kv/cli/a").await.to_string();
    let fresh = [
        "kv",
        "put",
        "-cas",
        &format!("-modify-index={index}"),
        "cli/a",
        "z",
    ];
    it.consul_says(&fresh, true, written);
    let (_, detailed) = it.consul_command(&["kv", "get", "-detailed", "cli/b"]);
    let fields: Vec<_> = detailed
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(fields[1..3], ["7", "cli/b"], "{detailed}");
    let (exported, text) = it.consul_command(&["kv", "export", "cli/"]);
    assert!(exported && text.contains("\"cli/b\""), "{text}");
    it.consul_says(
        &["kv", "delete", "cli/a"],
        true,
        "Success! Deleted key: cli/a",
    );
    let deleted = "Success! Deleted keys with prefix: cli";
    it.consul_says(&["kv", "delete", "-recurse", "cli"], true, deleted);
    it.consul_says(&["kv", "get", "-recurse", "cli"], true, "");
}

async fn the_catalog_by_the_command(it: Subject) {
    let service = r#"{"ID":"s-1","Name":"s","Tags":["leader"]}"#;
    it.put("/v1/agent/service/register", service)
        .await
        .says(200, "");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    it.consul_says(&["catalog", "services"], true, "consul\ns");
    let (_, tags) = it.consul_command(&["catalog", "services", "-tags"]);
    let words: Vec<_> = tags.split_whitespace().collect();
    assert_eq!(words, ["consul", "s", "leader"]);
    let (_, nodes) = it.consul_command(&["catalog", "nodes"]);
    let row: Vec<_> = nodes.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        (row[0], row[2], row[3]),
        (it.node().await.as_str(), "127.0.0.1", "dc1")
    );
    let (succeeds, of_service) = it.consul_command(&["catalog", "nodes", "-service=s"]);
    assert!(succeeds && of_service.contains("127.0.0.1"), "{of_service}");
    it.consul_says(&["catalog", "datacenters"], true, "dc1");
}

async fn a_lock_by_the_command(it: Subject) {
    it.consul_says(
        &["lock", "-timeout=5s", "locks/one", "echo held"],
        true,
        "held",
    );
    assert_eq!(it.get("/v1/session/list").await.text().trim(), "[]");
}
