//! `sluice debug bundle`: what it has, and what it must not have.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::operator::{as_client, client};
use crate::support::{Cluster, Consul, Options, SOON, eventually, sluice};

/// Secrets that nodes, sinks and commands have.
const PLANTED: [&str; 7] = [
    "planted-token-of-clients",
    "planted-secret-of-a-sink",
    "planted-consul-token",
    "planted-nats-password",
    "planted-config-password",
    "planted-variable",
    "token-of-viewer",
];

/// Nodes with secrets in every place where they can be.
async fn nodes(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::on(Consul::start().await, 0, &[]).await;
    let folder = cluster.folder.path().to_owned();
    let write = |name: &str, content: &str| {
        let file = folder.join(name);
        fs::write(&file, content).unwrap();
        file.display().to_string()
    };
    let token = write("send-token", "planted-token-of-clients\n");
    let secret = write("sink-secret", "planted-secret-of-a-sink");
    let tokens = write("tokens.toml", &client("viewer", "\"read\""));
    let manifest = r#"{"source":"builtin:stdout","config":{"format":"json"},
        "permissions":{"env":{"PLANTED":"planted-variable"}}}"#;
    for name in names {
        let secret = format!("PLANTED={secret},https://logs.example.com");
        let arguments = [
            "--token-file",
            &token,
            "--tokens",
            &tokens,
            "--secret",
            &secret,
            "--plugin",
            manifest,
            "--allow-http",
            "https://logs.example.com",
        ];
        let variables = [
            ("CONSUL_HTTP_TOKEN", "planted-consul-token"),
            (
                "NATS_URL",
                "nats://logs:planted-nats-password@nats.example.com",
            ),
        ];
        let options = Options {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..Options::with(&arguments)
        };
        cluster.add_with(name, options).await;
    }
    cluster.leader().await;
    // What is asked for cannot be opened, and says a password.
    let asked = r#"{"source":"builtin:stdout","config":{"password":"planted-config-password"}}"#;
    cluster.consul.put("kv/sluice/plugin", asked).await;
    let of_stream = "kv/sluice/streams/audit/plugin";
    cluster.consul.put(of_stream, manifest).await;
    for node in &cluster.nodes {
        eventually("the stream is led", SOON, || async {
            let shown = cluster
                .http
                .get(node.url("/streams/audit/api/v1/status"))
                .send();
            let shown = shown.await.unwrap().json::<Value>().await;
            match shown {
                Ok(shown) if shown["leader"].is_object() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    cluster
}

/// The files of an archive, by their paths below its only folder.
fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("tar");
    command
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(folder.path());
    assert!(command.status().unwrap().success());
    let mut files = BTreeMap::new();
    let mut left = vec![folder.path().to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let below = path.strip_prefix(folder.path()).unwrap();
        let below = below.components().skip(1).collect::<std::path::PathBuf>();
        let text = fs::read_to_string(&path).unwrap();
        files.insert(below.display().to_string(), text);
    }
    files
}

fn check(cluster: &Cluster, files: &BTreeMap<String, String>, names: &[&str], secret: &str) {
    let all = [
        "MANIFEST.txt",
        "client.json",
        "cluster.json",
        "plugin.json",
        "streams/audit/plugin.json",
    ]
    .map(str::to_owned);
    let parts = [
        "history.json",
        "leaders.json",
        "log.txt",
        "metrics.txt",
        "settings.json",
        "status.json",
        "streams/audit/history.json",
        "streams/audit/leaders.json",
        "streams/audit/status.json",
        "versions.json",
    ];
    let of_nodes = names
        .iter()
        .flat_map(|name| parts.map(|part| format!("nodes/{name}/{part}")));
    let mut expected: Vec<_> = all.into_iter().chain(of_nodes).collect();
    expected.sort();
    let found: Vec<_> = files.keys().cloned().collect();
    assert_eq!(found, expected);
    for (path, text) in files {
        for planted in PLANTED.into_iter().chain([secret]) {
            assert!(!text.contains(planted), "{path} has {planted}: {text}");
        }
        assert!(path == "MANIFEST.txt" || files["MANIFEST.txt"].contains(path.as_str()));
    }
    for name in names {
        let part = |part: &str| &files[&format!("nodes/{name}/{part}")];
        let json = |name: &str| serde_json::from_str::<Value>(part(name)).unwrap();
        assert!(part("log.txt").contains("listening"), "{}", part("log.txt"));
        assert!(part("metrics.txt").contains("sluice_leader"));
        assert_eq!(json("status.json")["node"], *name);
        assert!(json("history.json")["times"].is_array());
        assert_eq!(json("streams/audit/status.json")["node"], *name);
        assert!(json("streams/audit/history.json")["times"].is_array());
        // The epochs of all streams are of one counter.
        let epochs = |path: &str| -> Vec<u64> {
            let leaders = json(path);
            let leaders = leaders.as_array().unwrap().iter();
            leaders.map(|it| it["epoch"].as_u64().unwrap()).collect()
        };
        let of_default = epochs("leaders.json");
        let of_audit = epochs("streams/audit/leaders.json");
        assert!(of_audit.iter().all(|epoch| !of_default.contains(epoch)));
        let versions = json("versions.json");
        assert_eq!(versions["sluice"], env!("CARGO_PKG_VERSION"));
        assert!(versions["kernel"].as_str().unwrap().contains("Linux"));
        assert!(versions["wasmtime"].as_str().unwrap().contains('.'));
        let consul = versions["consul"].as_str().unwrap();
        assert!(consul.starts_with('1'), "{consul}");
        let settings = json("settings.json");
        let flag = |wanted: &str| {
            let flags = settings["flags"].as_array().unwrap().iter();
            let mut found = flags.filter(|flag| flag["name"] == wanted);
            found
                .next()
                .map(|flag| flag["value"].as_str().unwrap().to_owned())
        };
        assert_eq!(flag("name").as_deref(), Some(*name));
        assert!(flag("token-file").unwrap().ends_with("send-token"));
        assert_eq!(flag("lease").as_deref(), Some("1s"));
        let text = settings["environment"].to_string();
        assert!(
            text.contains("nats://[redacted]@nats.example.com"),
            "{text}"
        );
        assert!(text.contains("CONSUL_HTTP_TOKEN"), "{text}");
    }
    let plugin: Value = serde_json::from_str(&files["plugin.json"]).unwrap();
    let manifest = &plugin["asked"]["manifest"];
    assert_eq!(manifest["config"]["password"], "[redacted]", "{plugin}");
    let of_stream: Value = serde_json::from_str(&files["streams/audit/plugin.json"]).unwrap();
    let manifest = &of_stream["asked"]["manifest"];
    assert_eq!(manifest["config"]["format"], "json", "{of_stream}");
    assert_eq!(manifest["permissions"]["env"]["PLANTED"], "[redacted]");
    let cluster_part = &files["cluster.json"];
    assert!(cluster_part.contains(&cluster.node(0).address));
}

#[tokio::test]
async fn a_bundle_has_what_is_needed_and_no_secret() {
    let names = ["a", "b"];
    let cluster = nodes(&names).await;
    let secret = cluster.consul.value("sluice/secret").await.unwrap();
    let file = cluster.folder.path().join("one.tar.gz");
    let output = file.to_str().unwrap();
    let (code, out, err) = sluice(&cluster, &["debug", "bundle", "--output", output]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(out.trim(), output);
    assert!(
        err.contains("asking a") && err.contains("asking b"),
        "{err}"
    );
    check(&cluster, &unpacked(&file), &names, &secret);

    // The same through one node, by a client that may read.
    let again = ["debug", "bundle", "--output", output];
    let (code, out, err) = as_client(&cluster, 1, "viewer", &again).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("it exists"), "{err}");
    let forced = [&again[..], &["--force"]].concat();
    let (code, out, err) = as_client(&cluster, 1, "viewer", &forced).await;
    assert_eq!(code, Some(0), "{out}{err}");
    check(&cluster, &unpacked(&file), &names, &secret);
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_named() {
    let mut cluster = nodes(&["a", "b"]).await;
    let gone = cluster.follower().await;
    let (here, name) = (1 - gone, cluster.node(gone).name.clone());
    cluster.nodes[gone].process.kill();
    let file = cluster.folder.path().join("two.tar.gz");
    let arguments = ["debug", "bundle", "--output", file.to_str().unwrap()];
    let (code, out, err) = as_client(&cluster, here, "viewer", &arguments).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains(&format!("{name} is left out")), "{err}");
    let files = unpacked(&file);
    assert!(files.contains_key(&format!("nodes/{name}/error.txt")));
    let other = &cluster.node(here).name;
    assert!(files.contains_key(&format!("nodes/{other}/log.txt")));
    assert!(files["MANIFEST.txt"].contains("1 of 2 nodes"));
}

#[tokio::test]
async fn only_those_who_may_read_get_a_report() {
    let cluster = nodes(&["a"]).await;
    let node = cluster.node(0);
    let ask = |token: Option<&'static str>| {
        let mut request = cluster.http.get(node.url("/api/v1/debug"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask(Some("token-of-viewer")).await, 200);
    assert_eq!(ask(Some("planted-token-of-clients")).await, 403);
    assert_eq!(ask(None).await, 401);
    let unsigned = cluster.http.get(node.url("/internal/v1/debug"));
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
    let unknown = cluster.http.get(node.url("/api/v1/debug?node=nobody"));
    let unknown = unknown.bearer_auth("token-of-viewer").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
}
