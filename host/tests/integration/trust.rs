//! Nodes that run only what a key has signed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Cluster, Options, sluice};

impl Cluster {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a key pair of this name.
    async fn keygen(&self, name: &str) {
        let (code, _, error) = sluice(self, &["plugin", "keygen", "--out", name]).await;
        assert_eq!(code, Some(0), "{error}");
    }

    /// Signs a component, and returns the text of its signature.
    async fn sign(&self, source: &str, key: &str, more: &[&str]) -> String {
        let file = source.trim_start_matches("file://");
        let key = format!("{key}.key");
        let arguments = [&["plugin", "sign", file, "--key", &key][..], more].concat();
        let (code, fields, error) = sluice(self, &arguments).await;
        assert_eq!(code, Some(0), "{error}");
        let fields: Value = serde_json::from_str(&format!("{{{fields}}}")).unwrap();
        let signature = fields["signature"].as_str().unwrap().to_owned();
        let written = fs::read_to_string(format!("{file}.minisig")).unwrap();
        assert_eq!(signature, written);
        signature
    }

    /// Starts a node that trusts the key of this name.
    async fn add_trusting(&mut self, node: &str, key: &str) {
        let file = self.path(&format!("{key}.pub"));
        let arguments = ["--trusted-key", file.to_str().unwrap()];
        self.add_with(node, Options::with(&arguments)).await;
        self.leader().await;
    }

    /// Ends the only node.
    async fn stop(&mut self) {
        self.nodes[0].process.terminate().await;
        self.nodes.clear();
    }

    /// Waits until the only node runs the sink with this source.
    async fn runs(&self, source: &str) {
        let what = format!("{source} runs");
        let is_it = |status: &Value| {
            let active = &status["plugin"]["active"];
            active["source"] == source && active["state"] == "running"
        };
        self.node(0).until(&what, is_it).await;
        assert_eq!(self.node(0).log("a message").await.0, 200);
    }
}

fn manifest(source: &str, signature: &str) -> String {
    let rollout = json!({"probation_s": 0});
    json!({"source": source, "signature": signature, "rollout": rollout}).to_string()
}

/// The only file in a folder with this extension.
fn only_file(folder: &Path, extension: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Changes a byte in the middle of a file.
fn tamper(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_node_with_a_trusted_key_runs_only_what_that_key_has_signed() {
    let mut cluster = Cluster::start(0, &[]).await;
    cluster.keygen("release").await;
    cluster.keygen("other").await;
    cluster.add_trusting("a", "release").await;
    let source = cluster.plugin("misbehave", "a.wasm");
    let other_source = cluster.plugin("stdout", "b.wasm");

    let by_other = cluster.sign(&source, "other", &[]).await;
    let of_other = cluster.sign(&other_source, "release", &[]).await;
    for (asked, complaint) in [
        (source.clone(), "its manifest has no signature"),
        (
            manifest(&source, &by_other),
            "which this node does not trust",
        ),
        (manifest(&source, &of_other), "is not for this component"),
    ] {
        cluster.ask(&asked).await;
        cluster.all_complain(complaint).await;
        cluster.runs("builtin:stdout").await;
    }

    // Signed with permissions, it runs with those alone.
    let with = |signature: &str, env: Value| {
        json!({"source": source, "signature": signature, "permissions": {"env": env}}).to_string()
    };
    let file = cluster.path("manifest.json");
    fs::write(&file, with(&by_other, json!({"MODE": "1"}))).unwrap();
    let more = ["--permissions", file.to_str().unwrap()];
    let signed = cluster.sign(&source, "release", &more).await;
    cluster.ask(&with(&signed, json!({"MODE": "2"}))).await;
    cluster.all_complain("for other permissions").await;
    cluster.ask(&with(&signed, json!({"MODE": "1"}))).await;
    cluster.runs(&source).await;

    // A node that trusts another key does not take it from the leader either.
    let other = cluster.path("other.pub");
    let public_key = fs::read_to_string(&other).unwrap();
    let line = public_key.lines().last().unwrap();
    let place = cluster
        .add_with("b", Options::with(&["--trusted-key", line]))
        .await;
    let doubting = cluster.node(place);
    doubting
        .until("it does not trust the leader's sink", |status| {
            let plugin = &status["plugin"];
            let error = plugin["error"].as_str().unwrap_or_default();
            error.contains("does not trust") && plugin["active"]["source"] == "builtin:stdout"
        })
        .await;
    let log = doubting.process.stderr();
    assert!(
        log.contains("the sink that is asked for cannot run"),
        "{log}"
    );
}

#[tokio::test]
async fn what_lies_on_disk_is_checked_whenever_it_is_loaded() {
    let mut cluster = Cluster::start(0, &[]).await;
    cluster.keygen("release").await;
    cluster.keygen("other").await;
    cluster.add_trusting("a", "release").await;
    let source = cluster.plugin("misbehave", "a.wasm");
    let signature = cluster.sign(&source, "release", &[]).await;
    cluster.ask(&manifest(&source, &signature)).await;
    cluster.runs(&source).await;
    let data = cluster.path("data/a");
    let plugin = cluster.plugins().join("a.wasm");
    fs::rename(&plugin, cluster.path("moved")).unwrap();

    // Its compiled code was changed: it is compiled again, from the node's own copy.
    cluster.stop().await;
    let own = only_file(&data.join("plugin"), "wasm");
    let digest = own.file_stem().unwrap().to_str().unwrap().to_owned();
    let compiled = fs::read_dir(data.join("compiled")).unwrap();
    let compiled = compiled.map(|entry| entry.unwrap().path());
    let is_its = |path: &PathBuf| path.to_str().unwrap().contains(&digest);
    let compiled = compiled.into_iter().find(is_its).unwrap();
    tamper(&compiled);
    cluster.add_trusting("a", "release").await;
    cluster.runs(&source).await;
    let log = cluster.node(0).process.stderr();
    assert!(log.contains("a compiled component is damaged"), "{log}");

    // The key is no longer trusted: neither its copy nor its code is used.
    cluster.stop().await;
    cluster.add_trusting("a", "other").await;
    cluster.runs("builtin:stdout").await;
    let log = cluster.node(0).process.stderr();
    assert!(
        log.contains("the last good sink on disk cannot be used") && log.contains("does not trust"),
        "{log}"
    );

    // It is trusted again, but its copy was changed.
    cluster.stop().await;
    fs::rename(cluster.path("moved"), &plugin).unwrap();
    cluster.add_trusting("a", "release").await;
    cluster.runs(&source).await;
    cluster.stop().await;
    fs::remove_file(&plugin).unwrap();
    tamper(&own);
    cluster.add_trusting("a", "release").await;
    cluster.runs("builtin:stdout").await;
    let log = cluster.node(0).process.stderr();
    assert!(log.contains("a sink on disk is damaged"), "{log}");
}

/// Runs the program of minisign in the folder of the cluster.
fn minisign(cluster: &Cluster, arguments: &[&str]) -> Output {
    let output = Command::new("minisign")
        .current_dir(cluster.folder.path())
        .args(arguments)
        .output();
    output.expect("this test needs minisign; on Debian: apt-get install minisign")
}

#[tokio::test]
#[ignore = "needs minisign"]
async fn minisign_and_sluice_take_each_others_keys_and_signatures() {
    let mut cluster = Cluster::start(0, &[]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    let component = "plugins/a.wasm";
    let run = |arguments: &[&str]| {
        let output = minisign(&cluster, arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    };

    // Ours verifies there, and our key signs there.
    cluster.keygen("ours").await;
    cluster.sign(&source, "ours", &[]).await;
    let verify = ["-V", "-H", "-p", "ours.pub", "-m", component];
    let (verified, text) = run(&verify);
    assert!(verified && text.contains("file:a.wasm"), "{text}");
    assert!(run(&["-S", "-W", "-s", "ours.key", "-m", component]).0);
    assert!(run(&verify).0);

    // A key from there signs here.
    assert!(run(&["-G", "-W", "-p", "theirs.pub", "-s", "theirs.key"]).0);
    cluster.sign(&source, "theirs", &[]).await;
    assert!(run(&["-V", "-H", "-p", "theirs.pub", "-m", component]).0);

    // Nodes take what was signed there.
    assert!(run(&["-S", "-W", "-s", "theirs.key", "-m", component]).0);
    cluster.add_trusting("a", "theirs").await;
    let signature = format!("{component}.minisig");
    let arguments = [
        "plugin",
        "use",
        component,
        "--signature",
        &signature,
        "--wait",
    ];
    let (code, _, error) = sluice(&cluster, &arguments).await;
    assert_eq!(code, Some(0), "{error}");
    cluster.runs(&source).await;
}

#[tokio::test]
async fn keys_are_not_overwritten_and_are_for_their_owner_alone() {
    let cluster = Cluster::start(0, &[]).await;
    cluster.keygen("release").await;
    let mode = |name: &str| {
        fs::metadata(cluster.path(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("release.key") & 0o777, 0o600);
    let before = fs::read(cluster.path("release.key")).unwrap();
    let again = async || {
        let (code, _, error) = sluice(&cluster, &["plugin", "keygen", "--out", "release"]).await;
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("it exists already"), "{error}");
        assert_eq!(fs::read(cluster.path("release.key")).unwrap(), before);
    };
    again().await;
    fs::remove_file(cluster.path("release.pub")).unwrap();
    again().await;
    let wrong = ["node", "--trusted-key", "no such file"];
    let (code, _, error) = sluice(&cluster, &wrong).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("expected the public key"), "{error}");
}
