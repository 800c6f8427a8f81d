//! `consul kv put <cluster>/plugin` swaps the sink of every node, and loses
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sink::verdict;
use crate::support::{Bench, Cluster, Consul, Node, Options, SOON, eventually, guest, sluice};

const SWAPS: usize = 12;

impl Cluster {
    pub(crate) async fn ask(&self, manifest: &str) {
        self.consul.put("kv/sluice/plugin", manifest).await;
    }

    /// Waits until every node has the sink that is asked for, and the leader
    /// runs it.
    async fn all_have(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        for node in &self.nodes {
            node.until(&format!("{} has {what}", node.name), |status| {
                let state = status["plugin"]["active"]["state"].as_str();
                let expected = if status["role"] == "leader" {
                    "running"
                } else {
                    "prepared"
                };
                state == Some(expected) && is_so(&status["plugin"])
            })
            .await;
        }
    }

    pub(crate) async fn all_run(&self, source: &str) {
        self.all_have(source, |plugin| {
            plugin["active"]["source"] == source && plugin["error"].is_null()
        })
        .await;
    }

    /// Waits until every node shows an error with this text.
    pub(crate) async fn all_complain(&self, expected: &str) {
        self.all_have(expected, |plugin| {
            let error = plugin["error"].as_str().unwrap_or_default();
            error.contains(expected)
        })
        .await;
    }

    /// A directory from which nodes may load sinks.
    pub(crate) fn plugins(&self) -> PathBuf {
        let folder = self.folder.path().join("plugins");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Copies a component to this name, and returns its source.
    pub(crate) fn plugin(&self, component: &str, name: &str) -> String {
        let file = self.plugins().join(name);
        fs::copy(guest(component), &file).unwrap();
        format!("file://{}", file.display())
    }

    fn files(&self, node: &str) -> PathBuf {
        self.folder.path().join("data").join(node).join("files")
    }
}

/// A manifest that makes a sink the last good one as soon as it runs.
pub(crate) fn without_probation(source: &str) -> String {
    json!({"source": source, "rollout": {"probation_s": 0}}).to_string()
}

/// A manifest of the misbehaving guest with this config.
fn misbehaving(cluster: &Cluster, config: &str) -> String {
    let source = cluster.plugin("misbehave", "misbehave.wasm");
    json!({"source": source, "config": config, "rollout": {"probation_s": 0}}).to_string()
}

#[tokio::test]
async fn a_put_swaps_the_sink_of_every_node_and_a_delete_swaps_it_back() {
    let cluster = Cluster::on_consul(3, &[]).await;
    let node = cluster.node(cluster.leader().await);
    assert_eq!(node.log("first").await.0, 200);
    let source = cluster.plugin("misbehave", "a.wasm");
    cluster.ask(&format!(" {source}\n")).await;
    cluster.all_run(&source).await;
    assert_eq!(node.log("second").await.0, 200);
    node.wrote("first\n1/2 second attempt 1\n").await;

    let active: Value =
        serde_json::from_str(&cluster.consul.value("sluice/active").await.unwrap()).unwrap();
    assert_eq!(active["source"], source, "{active}");
    assert_eq!(active["state"], "running", "{active}");
    assert_eq!(active["node"], node.name, "{active}");
    assert_eq!(active["epoch"], 1, "{active}");
    for name in ["sha256", "since", "why"] {
        assert!(active[name].is_string(), "{active}");
    }
    for node in &cluster.nodes {
        let key = format!("sluice/nodes/{}", node.name);
        eventually("the node's key names its sink", SOON, || async {
            let value = cluster.consul.value(&key).await?;
            let state: Value = serde_json::from_str(&value).map_err(|e| e.to_string())?;
            let is_so = state["plugin"]["sha256"] == active["sha256"] && state["error"].is_null();
            if is_so { Ok(()) } else { Err(value) }
        })
        .await;
    }

    cluster.consul.delete("kv/sluice/plugin").await;
    cluster.all_run("builtin:stdout").await;
    cluster.ask(&source).await;
    cluster.all_run(&source).await;
    cluster.ask(" \n").await;
    cluster.all_run("builtin:stdout").await;
    assert_eq!(node.log("third").await.0, 200);
    node.wrote("\nthird\n").await;
}

#[tokio::test]
async fn the_same_sink_with_another_config_is_another_sink() {
    let cluster = Cluster::on_consul(1, &[]).await;
    cluster
        .ask(r#"{"source":"builtin:stdout","config":{"format":"json"}}"#)
        .await;
    let node = cluster.node(0);
    eventually("the format has changed", SOON, || async {
        assert_eq!(node.log("hello").await.0, 200);
        let output = node.process.stdout();
        match output.lines().last().map(serde_json::from_str::<Value>) {
            Some(Ok(line)) if line["body"] == "hello" => Ok(()),
            _ => Err(output),
        }
    })
    .await;
}

#[tokio::test]
async fn swaps_under_load_lose_and_refuse_nothing() {
    let cluster = Cluster::on_consul(3, &[]).await;
    let (one, two) = (
        "builtin:stdout".to_owned(),
        cluster.plugin("stdout", "other.wasm"),
    );
    // The same code with another digest, because of a custom section.
    let file = Path::new(two.trim_start_matches("file://")).to_owned();
    let mut component = fs::read(&file).unwrap();
    component.extend_from_slice(b"\0\x06\x05other");
    fs::write(&file, component).unwrap();

    swaps_lose_nothing(&cluster, [&two, &one]).await;
}

/// Swaps to the one and the other again and again, under load.
pub(crate) async fn swaps_lose_nothing(cluster: &Cluster, sources: [&str; 2]) {
    let load = Bench::start(
        cluster,
        "load",
        &["--connections", "32", "--duration", "15s", "--rate", "4000"],
    );
    let mut slowest = Duration::ZERO;
    for source in sources.into_iter().cycle().take(SWAPS) {
        let asked = Instant::now();
        cluster.ask(source).await;
        cluster.all_run(source).await;
        slowest = slowest.max(asked.elapsed());
    }
    println!("the slowest of {SWAPS} swaps took {slowest:?} to be reported by all nodes");
    let (report, acknowledged) = load.finish(cluster).await;
    assert_eq!(report["refused"], 0, "{report}");
    assert_eq!(report["unknown"], 0, "{report}");
    assert!(acknowledged.len() > 1000, "{report}");
    cluster.holds(&acknowledged);
}

#[tokio::test]
async fn what_waits_for_a_hanging_sink_is_delivered_by_the_next() {
    for config in ["always stuck", "always spinning"] {
        let cluster = Cluster::on_consul(1, &["--request-timeout", "60s"]).await;
        let node = cluster.node(0);
        cluster.ask(&misbehaving(&cluster, config)).await;
        cluster
            .all_have(config, |p| p["active"]["source"] != "builtin:stdout")
            .await;
        let waiting = futures_util::future::join(node.log("one"), node.log("two"));
        let swapping = async {
            node.until("messages wait", |status| status["queue"]["records"] == 2)
                .await;
            cluster.ask("builtin:stdout").await;
            cluster.all_run("builtin:stdout").await;
        };
        let (answers, ()) = tokio::join!(waiting, swapping);
        assert_eq!((answers.0.0, answers.1.0), (200, 200), "{answers:?}");
        node.wrote("one\n").await;
        node.wrote("two\n").await;
        assert_eq!(node.status().await.unwrap()["epoch"], 1, "it still leads");
    }
}

#[tokio::test]
async fn what_a_failing_sink_does_not_take_is_delivered_by_the_next() {
    let cluster = Cluster::on_consul(1, &["--request-timeout", "60s"]).await;
    let node = cluster.node(0);
    let source = misbehaving(&cluster, "always busy");
    cluster.ask(&source).await;
    cluster
        .all_have("the busy sink", |p| {
            p["active"]["source"] != "builtin:stdout"
        })
        .await;
    let swapping = async {
        node.until("the sink has failed", |status| {
            status["counters"]["retried"].as_u64() > Some(2)
        })
        .await;
        cluster.ask("builtin:stdout").await;
        cluster.all_run("builtin:stdout").await;
    };
    let (answer, ()) = tokio::join!(node.log("held back"), swapping);
    assert_eq!(answer.0, 200, "{answer:?}");
    node.wrote("held back\n").await;
}

#[tokio::test]
async fn what_the_old_sink_breaks_on_while_the_next_waits_is_taken_by_that() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    cluster.ask(&misbehaving(&cluster, "slow trap")).await;
    cluster
        .all_have("the trapping sink", |p| {
            p["active"]["source"] != "builtin:stdout"
        })
        .await;
    let swapping = async {
        node.until("the sink is writing", |status| {
            status["queue"]["records"] == 1
        })
        .await;
        cluster.ask("builtin:stdout").await;
    };
    let (answer, ()) = tokio::join!(node.log("taken over"), swapping);
    assert_eq!(answer.0, 200, "{answer:?}");
    node.wrote("taken over\n").await;
}

/// Manifests, each with a text that its error must contain.
fn bad_manifests(cluster: &Cluster) -> Vec<(String, &'static str)> {
    let plugins = cluster.plugins();
    fs::write(plugins.join("text.wasm"), "no component").unwrap();
    fs::write(plugins.join("module.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(plugins.join("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    let good = cluster.plugin("misbehave", "good.wasm");
    let half = fs::read(guest("misbehave")).unwrap();
    fs::write(plugins.join("half.wasm"), &half[..half.len() / 2]).unwrap();
    let file = |name: &str| format!("file://{}", plugins.join(name).display());
    let with = |extra: Value| {
        let mut manifest = json!({ "source": good });
        let (fields, extra) = (
            manifest.as_object_mut().unwrap(),
            extra.as_object().unwrap(),
        );
        fields.extend(extra.clone());
        manifest.to_string()
    };
    let directory =
        |host: &str| with(json!({"permissions": {"dirs": [{"host": host, "guest": "/d"}]}}));
    let digest = "0".repeat(64);
    vec![
        (r#"{"source":"builtin:stdout""#.to_owned(), "EOF"),
        (with(json!({"confg": {}})), "unknown field `confg`"),
        ("stdout".to_owned(), "builtin:stdout"),
        (
            "oci://r/x@sha256:00".to_owned(),
            "oci://registry/repository:tag",
        ),
        (file("missing.wasm"), "missing.wasm"),
        ("file:///etc/hostname".to_owned(), "--plugin-dir"),
        (with(json!({ "sha256": digest })), "its SHA-256 is"),
        (file("module.wasm"), "--target wasm32-wasip2"),
        (file("text.wasm"), "not a WebAssembly component"),
        (file("half.wasm"), "not a whole one"),
        (file("empty.wasm"), "wit/0.2/sink.wit"),
        (directory("/etc"), "--allow-dir /etc"),
        (directory("../a"), "without '..'"),
        (
            with(json!({"permissions": {"tcp": ["h:1"]}})),
            "--allow-tcp h:1",
        ),
        (
            with(json!({"config": "refuse to open"})),
            "told not to open",
        ),
        (with(json!({"config": "trap in open"})), "trapped"),
    ]
}

#[tokio::test]
async fn a_bad_manifest_keeps_the_sink_and_says_what_to_change() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let (leader, follower) = (cluster.node(leader), cluster.node(follower));
    for (manifest, expected) in bad_manifests(&cluster) {
        cluster.ask(&manifest).await;
        let says = |status: &Value| {
            let error = status["plugin"]["error"].as_str().unwrap_or_default();
            error.contains(expected)
        };
        let what = format!("{manifest} is refused with {expected:?}");
        leader.until(&what, says).await;
        // Only a leader opens sinks.
        let is_of_open = manifest.contains("open");
        if !is_of_open {
            follower.until(&what, says).await;
        }
        let status = leader.status().await.unwrap();
        assert_eq!(
            status["plugin"]["active"]["source"], "builtin:stdout",
            "{status}"
        );
        assert_eq!(status["plugin"]["active"]["state"], "running", "{status}");
        let mut keys = vec![
            format!("sluice/nodes/{}", leader.name),
            "sluice/active".to_owned(),
        ];
        if !is_of_open {
            keys.push(format!("sluice/nodes/{}", follower.name));
        }
        for key in keys {
            eventually(&format!("{key} names {expected:?}"), SOON, || async {
                let value = cluster.consul.value(&key).await?;
                let said: Value = serde_json::from_str(&value).map_err(|e| e.to_string())?;
                let why = format!("{}{}", said["error"], said["why"]).replace("\\\"", "\"");
                if why.contains(expected) {
                    Ok(())
                } else {
                    Err(value)
                }
            })
            .await;
        }
        assert_eq!(leader.log("still").await.0, 200);
        assert_eq!(
            follower.status().await.unwrap()["plugin"]["active"]["state"],
            "prepared"
        );
        cluster.ask("builtin:stdout").await;
        cluster.all_run("builtin:stdout").await;
    }
}

#[tokio::test]
async fn a_sink_that_asks_to_be_opened_later_is_asked_again() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    let source = cluster.plugin("misbehave", "later.wasm");
    let manifest = json!({
        "source": source,
        "config": "open once /own/ready is there",
        "permissions": {"dirs": [{"host": "own", "guest": "/own"}]},
    });
    cluster.ask(&manifest.to_string()).await;
    node.until("the sink is not open yet", |status| {
        let error = status["plugin"]["error"].as_str().unwrap_or_default();
        error.contains("busy") && status["plugin"]["active"]["source"] == "builtin:stdout"
    })
    .await;
    assert_eq!(node.log("meanwhile").await.0, 200);
    node.wrote("meanwhile\n").await;
    fs::write(cluster.files("a").join("own/ready"), "").unwrap();
    cluster.all_run(&source).await;
}

#[tokio::test]
async fn what_could_not_be_prepared_is_tried_again_once_it_was_mended() {
    let allowed = tempfile::tempdir().unwrap();
    let cluster = Cluster::on_consul(1, &["--allow-dir", allowed.path().to_str().unwrap()]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    let missing = allowed.path().join("missing");
    let manifest = json!({
        "source": source,
        "permissions": {"dirs": [{"host": missing, "guest": "/own"}]},
    });
    cluster.ask(&manifest.to_string()).await;
    cluster.all_complain("No such file").await;
    fs::create_dir(missing).unwrap();
    cluster.all_run(&source).await;
}

#[tokio::test]
async fn of_puts_in_quick_succession_the_last_one_counts() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    for round in 0..5 {
        cluster
            .ask(&json!({"source": source, "config": round}).to_string())
            .await;
        cluster.ask("not a source").await;
        cluster
            .ask(&json!({"source": source, "config": "last"}).to_string())
            .await;
        if round % 2 == 0 {
            cluster.ask("not a source either").await;
            cluster.all_complain("not a source either").await;
        } else {
            let node = cluster.node(cluster.leader().await);
            cluster.runs_what_is_asked_for().await;
            assert_eq!(node.log(&format!("round {round}")).await.0, 200);
            node.wrote(&format!("round {round} attempt 1 by last\n"))
                .await;
        }
    }
}

#[tokio::test]
async fn a_new_node_takes_the_leaders_sink_where_the_key_is_unclear() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    cluster.ask(&without_probation(&source)).await;
    cluster.all_run(&source).await;
    cluster.ask("not a source").await;
    cluster.all_complain("not a source").await;
    let late = cluster.add("late").await;
    cluster
        .node(late)
        .until("it has the leader's sink", |status| {
            status["plugin"]["active"]["source"] == source
        })
        .await;
    cluster.nodes[0].process.kill();
    cluster.nodes.remove(0);
    cluster.leader().await;
    assert_eq!(cluster.node(0).log("after").await.0, 200);
    cluster.node(0).wrote("after attempt 1\n").await;
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let source = cluster.plugin("misbehave", "mine.wasm");
    cluster.ask(&source).await;
    cluster.all_run(&source).await;
    let node = cluster.node(cluster.leader().await);
    assert_eq!(node.log("one").await.0, 200);
    node.wrote("one attempt 1\n").await;

    // The file is half written: the sink keeps running.
    let file = cluster.plugins().join("mine.wasm");
    let next = fs::read(guest("stdout")).unwrap();
    fs::write(&file, &next[..next.len() / 3]).unwrap();
    cluster.all_complain("not a whole one").await;
    assert_eq!(node.log("two").await.0, 200);
    node.wrote("two attempt 1\n").await;

    // The file is gone: the sink keeps running.
    fs::remove_file(&file).unwrap();
    cluster.all_complain("No such file").await;
    assert_eq!(node.log("three").await.0, 200);

    // The file is whole: it is swapped in, although no key changed in Consul.
    let digest = node.status().await.unwrap()["plugin"]["active"]["sha256"].clone();
    fs::write(&file, &next).unwrap();
    cluster
        .all_have("the new file", |plugin| {
            plugin["active"]["sha256"] != digest && plugin["error"].is_null()
        })
        .await;
    assert_eq!(node.log("four").await.0, 200);
    node.wrote("\nfour\n").await;
}

#[tokio::test]
async fn a_pinned_file_is_swapped_in_once_it_is_the_right_one() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    let source = cluster.plugin("misbehave", "pinned.wasm");
    cluster.ask(&source).await;
    cluster.all_run(&source).await;
    let digest = node.status().await.unwrap()["plugin"]["active"]["sha256"].clone();
    cluster.ask("builtin:stdout").await;
    cluster.all_run("builtin:stdout").await;

    let file = cluster.plugins().join("pinned.wasm");
    fs::copy(guest("stdout"), &file).unwrap();
    cluster
        .ask(&json!({"source": source, "sha256": digest}).to_string())
        .await;
    cluster.all_complain("its SHA-256 is").await;
    fs::copy(guest("misbehave"), &file).unwrap();
    cluster.all_run(&source).await;
}

#[tokio::test]
async fn a_sink_gets_the_directories_and_variables_of_its_manifest_and_no_more() {
    let (allowed, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(allowed.path().join("given"), "given").unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let arguments = ["--allow-dir", allowed.path().to_str().unwrap()];
    let cluster = Cluster::on_consul(1, &arguments).await;
    let node = cluster.node(0);
    let source = cluster.plugin("misbehave", "a.wasm");
    let manifest = json!({
        "source": source,
        "permissions": {
            "dirs": [
                {"host": "own/deep", "guest": "/own", "write": true},
                {"host": allowed.path(), "guest": "/given"},
            ],
            "env": {"TZ": "UTC"},
        },
    });
    cluster.ask(&manifest.to_string()).await;
    cluster.all_run(&source).await;
    let own = cluster.files("a").join("own/deep");
    std::os::unix::fs::symlink(outside.path(), own.join("link")).unwrap();
    for (asked, answered) in [
        ("env TZ", "Some(\"UTC\")"),
        ("env HOME", "None"),
        ("write /own/new", "Ok(())"),
        ("read /own/new", "Ok(\"written\")"),
        ("read /given/given", "Ok(\"given\")"),
        ("write /given/new", "Err("),
        ("read /own/link/secret", "Err("),
        ("read /own/../secret", "Err("),
        ("read /own/../../../epoch", "Err("),
        ("read /etc/hostname", "Err("),
        ("write /elsewhere", "Err("),
    ] {
        assert_eq!(node.log(asked).await.0, 200, "{asked}");
        node.wrote(&format!("{asked}: {answered}")).await;
    }
    assert_eq!(fs::read_to_string(own.join("new")).unwrap(), "written");

    // A symbolic link instead of the directory is refused too.
    let link = cluster.files("a").join("link");
    std::os::unix::fs::symlink(outside.path(), link).unwrap();
    let dirs = json!({"dirs": [{"host": "link", "guest": "/own", "write": true}]});
    let manifest = json!({"source": source, "permissions": dirs});
    cluster.ask(&manifest.to_string()).await;
    cluster.all_complain("symbolic link").await;
}

#[tokio::test]
async fn limits_of_the_manifest_are_kept_to() {
    let cluster = Cluster::on_consul(1, &["--max-memory", "64MiB"]).await;
    let node = cluster.node(0);
    let source = cluster.plugin("misbehave", "a.wasm");
    let ask = async |label: &str, limits: Value| {
        let rollout = json!({"probation_s": 0});
        let manifest =
            json!({"source": source, "limits": limits, "config": label, "rollout": rollout});
        cluster.ask(&manifest.to_string()).await;
        eventually("the limits are in force", SOON, || async {
            let (status, body) = node.log("which").await;
            assert_eq!(status, 200, "{body}");
            let output = node.process.stdout();
            match output.lines().last() {
                Some(line) if line.ends_with(label) => Ok(()),
                _ => Err(output),
            }
        })
        .await;
    };
    ask("small", json!({"memory_mib": 32})).await;
    let (status, body) = verdict(node, "grow").await;
    assert!(status == 422 && body.contains("limit of 32 MiB"), "{body}");
    ask(
        "short",
        json!({"memory_mib": 4096, "write_timeout_ms": 300}),
    )
    .await;
    let (status, body) = verdict(node, "grow").await;
    assert!(status == 422 && body.contains("limit of 64 MiB"), "{body}");
    let (status, body) = verdict(node, "spin").await;
    assert!(status == 422 && body.contains("computing after"), "{body}");
}

#[tokio::test]
async fn a_node_boots_with_the_last_good_sink_when_consul_or_the_file_is_gone() {
    let mut cluster = Cluster::on(Consul::server().await, 1, &[]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    cluster.ask(&without_probation(&source)).await;
    cluster.all_run(&source).await;
    assert_eq!(cluster.node(0).log("before").await.0, 200);
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    let before = compiled(&cluster);
    fs::remove_file(cluster.plugins().join("a.wasm")).unwrap();

    // The file is gone.
    cluster.add("a").await;
    cluster.leader().await;
    cluster.all_complain("No such file").await;
    assert_eq!(cluster.node(0).log("again").await.0, 200);
    cluster.node(0).wrote("again attempt 1\n").await;
    assert_eq!(compiled(&cluster), before, "nothing was compiled again");
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();

    // Consul is away.
    cluster.consul.stop();
    let process = cluster.spawn("a", Options::with(&["--advertise", "127.0.0.1"]));
    let url = format!("http://{}/api/v1/status", cluster.served_by(&process).await);
    eventually("the node has its last good sink", SOON, || async {
        let answer = cluster
            .http
            .get(&url)
            .send()
            .await
            .map_err(|e| e.to_string())?;
        let body = answer.bytes().await.map_err(|e| e.to_string())?;
        let status: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        match status["plugin"]["active"]["source"] == source {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    })
    .await;
}

/// The compiled sinks of node a, each with its inode.
fn compiled(cluster: &Cluster) -> Vec<(PathBuf, u64)> {
    let folder = cluster.folder.path().join("data/a/compiled");
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut entries: Vec<_> = entries
        .map(|path| {
            let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
            (path, inode)
        })
        .collect();
    entries.sort();
    entries
}

#[tokio::test]
async fn a_take_over_whose_open_fails_goes_on_with_the_last_good_sink() {
    let mut cluster = Cluster::on_consul(2, &[]).await;
    let good = cluster.plugin("misbehave", "good.wasm");
    cluster.ask(&without_probation(&good)).await;
    cluster.all_run(&good).await;
    let leader = cluster.leader().await;
    assert_eq!(cluster.node(leader).log("one").await.0, 200);
    // The followers learn from the leader which sink works.
    let follower = cluster.follower().await;
    let kept = cluster
        .folder
        .path()
        .join("data")
        .join(&cluster.node(follower).name)
        .join("plugin/last-good.json");
    eventually("the follower keeps the good sink", SOON, || async {
        let note = fs::read_to_string(&kept).unwrap_or_default();
        if note.contains("good.wasm") {
            Ok(())
        } else {
            Err(note)
        }
    })
    .await;
    let bad = json!({
        "source": cluster.plugin("stdout", "bad.wasm"),
        "config": {"format": "x"},
        "rollout": {"probation_s": 0},
    });
    cluster.ask(&bad.to_string()).await;
    cluster
        .node(leader)
        .until("the leader shows an error", |status| {
            status["plugin"]["error"].is_string()
        })
        .await;
    cluster
        .node(follower)
        .until("the follower has prepared it", |status| {
            status["plugin"]["active"]["source"] == bad["source"]
        })
        .await;
    // This node was not running when the good sink was asked for.
    let late = cluster.add("late").await;
    for gone in [leader, follower] {
        cluster.nodes[gone].process.kill();
        cluster.leader().await;
        let next = cluster.node(cluster.leader().await);
        let name = next.name.clone();
        next.until(&format!("{name} runs the good sink"), |status| {
            status["plugin"]["active"]["source"] == good
                && status["plugin"]["active"]["state"] == "running"
                && status["plugin"]["error"]
                    .as_str()
                    .is_some_and(|error| error.contains("format"))
        })
        .await;
        assert_eq!(next.log("after").await.0, 200, "{name}");
        next.wrote("after attempt 1\n").await;
    }
    assert_eq!(cluster.leader().await, late);
}

#[tokio::test]
async fn a_sink_that_was_mended_lets_a_node_lead_again() {
    // There is no sink to fall back to: that of the flag does not open either.
    let mut cluster = Cluster::empty(Consul::agent().await, &[]);
    let source = cluster.plugin("misbehave", "a.wasm");
    let refusing = json!({"source": source, "config": "refuse to open"}).to_string();
    cluster.arguments = vec!["--plugin".to_owned(), refusing];
    cluster.add("a").await;
    cluster.add("b").await;
    for node in &cluster.nodes {
        node.until("its sink has failed", |status| {
            status["plugin"]["active"]["state"] == "failed"
        })
        .await;
    }
    let asked = Instant::now();
    cluster.ask("builtin:stdout").await;
    cluster.leader().await;
    cluster.all_run("builtin:stdout").await;
    // Less than the 30 s for which a failed node stays out.
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn waiting_is_over_when_the_new_sink_runs_and_not_before() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    let use_it = |config: &'static str| {
        let cluster = &cluster;
        let source = source.clone();
        async move {
            let arguments = ["plugin", "use", &source, "--config", config, "--wait"];
            let done = sluice(cluster, &arguments).await;
            let node = cluster.node(cluster.leader().await);
            assert_eq!(node.log(config).await.0, 200);
            done
        }
    };
    let node = cluster.node(cluster.leader().await);
    assert_eq!(use_it("\"first\"").await.0, Some(0));
    node.wrote("by first\n").await;
    // The same component with another config.
    assert_eq!(use_it("\"slow to open\"").await.0, Some(0));
    node.wrote("by slow to open\n").await;
    let (code, out, err) = use_it("\"slow to refuse\"").await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("told not to open"), "{out}");
}

#[tokio::test]
async fn the_command_line_asks_for_a_sink_and_shows_the_nodes() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let source = cluster.plugin("misbehave", "a.wasm");
    let path = cluster.plugins().join("a.wasm");
    let use_it = ["plugin", "use", path.to_str().unwrap(), "--wait"];
    let (code, out, err) = sluice(&cluster, &use_it).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains(&format!("wrote sluice/plugin: {source}")),
        "{out}"
    );
    assert!(out.contains("a: ") && out.contains("b: "), "{out}");
    cluster.all_run(&source).await;

    let (code, out, _) = sluice(&cluster, &["plugin", "status"]).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(" running on "), "{out}");
    let row = |node| {
        let row = out.lines().find(|line| line.starts_with(node));
        row.unwrap().split_whitespace().collect::<Vec<_>>()
    };
    let (leader, other) = match cluster.leader().await {
        0 => (row("a "), row("b ")),
        _ => (row("b "), row("a ")),
    };
    assert_eq!(leader[1], source, "{out}");
    assert_eq!(
        leader[2], leader[3],
        "it has prepared the one that is active: {out}"
    );
    assert_eq!(other[1..4], [source.as_str(), leader[2], "-"], "{out}");

    let refuse = [
        "plugin",
        "use",
        &source,
        "--config",
        "\"refuse to open\"",
        "--wait",
    ];
    let (code, out, err) = sluice(&cluster, &refuse).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("told not to open"), "{out}");
    let (code, out, _) = sluice(&cluster, &["plugin", "status"]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("told not to open"), "{out}");
    let (_, out, _) = sluice(&cluster, &["plugin", "status", "--json"]).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        json["asked"]["manifest"]["config"], "refuse to open",
        "{json}"
    );

    for (wrong, expected) in [
        (["plugin", "use", "nowhere", "--wait"], "builtin:stdout"),
        (["plugin", "use", "builtin:stdout", "--config={"], "JSON"),
        (["plugin", "use", "builtin:stdout", "--dir=../x:/y"], "'..'"),
    ] {
        let (code, out, err) = sluice(&cluster, &wrong).await;
        assert_eq!(code, Some(1), "{out}{err}");
        assert!(err.contains(expected), "{err}");
    }
}

#[tokio::test]
async fn a_node_with_a_word_of_its_own_is_not_asked_twice() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node: &Node = cluster.node(0);
    let source = cluster.plugin("misbehave", "a.wasm");
    cluster.ask(&source).await;
    cluster.all_run(&source).await;
    let since = node.status().await.unwrap()["plugin"]["active"]["since"].clone();
    // The same manifest in another form swaps nothing.
    cluster
        .ask(&json!({"source": source, "config": null}).to_string())
        .await;
    let index = cluster.consul.key("sluice/plugin").await.unwrap()["ModifyIndex"].clone();
    eventually("the node has seen it", SOON, || async {
        let value = cluster.consul.value("sluice/nodes/a").await?;
        let state: Value = serde_json::from_str(&value).map_err(|e| e.to_string())?;
        if state["index"] == index {
            Ok(())
        } else {
            Err(value)
        }
    })
    .await;
    assert_eq!(
        node.status().await.unwrap()["plugin"]["active"]["since"],
        since
    );
}

/// All lines that the file sinks of these nodes have written.
fn written(cluster: &Cluster) -> Vec<Value> {
    let folders = cluster.nodes.iter().map(|node| cluster.files(&node.name));
    let files = folders.flat_map(|folder| fs::read_dir(folder.join("audit")).into_iter().flatten());
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            lines.push(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
        }
    }
    lines
}

#[tokio::test]
async fn the_file_sink_keeps_every_message_through_swaps_and_rotations() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let source = cluster.plugin("file", "file.wasm");
    let manifest = |max_mib: u32, note: &str| {
        json!({
            "source": source,
            "config": {"path": "/logs/messages.ndjson", "max_mib": max_mib},
            "permissions": {
                "dirs": [{"host": "audit", "guest": "/logs", "write": true}],
                "env": {"NOTE": note},
            },
        })
        .to_string()
    };
    cluster.ask(&manifest(1, "0")).await;
    cluster.all_run(&source).await;
    let arguments = [
        "--connections",
        "8",
        "--duration",
        "6s",
        "--size",
        "1000",
        "--batch",
        "20",
    ];
    let load = Bench::start(&cluster, "load", &arguments);
    // During each swap two instances have the file open.
    for swap in 1..10 {
        cluster.ask(&manifest(1, &swap.to_string())).await;
        cluster.runs_what_is_asked_for().await;
    }
    let (report, acknowledged) = load.finish(&cluster).await;
    assert_eq!(report["refused"], 0, "{report}");
    assert_eq!(report["unknown"], 0, "{report}");
    let numbers: std::collections::BTreeSet<u64> = written(&cluster)
        .iter()
        .filter_map(|line| {
            let body = line["body"].as_str()?.strip_prefix("Message: ")?;
            body.split(' ').next()?.parse().ok()
        })
        .collect();
    let missing: Vec<_> = acknowledged.difference(&numbers).take(10).collect();
    assert!(
        missing.is_empty(),
        "acknowledged, but in no file: {missing:?}"
    );
    let node = cluster.node(cluster.leader().await);
    let rotated = fs::read_dir(cluster.files(&node.name).join("audit"))
        .unwrap()
        .count();
    assert!(rotated > 1, "{} messages and no rotation", numbers.len());
}

#[tokio::test]
async fn a_directory_that_the_manifest_forgot_is_explained() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let source = cluster.plugin("file", "file.wasm");
    let config = json!({"path": "/logs/messages.ndjson"});
    cluster
        .ask(&json!({"source": source, "config": config}).to_string())
        .await;
    cluster.all_complain("permissions.dirs").await;
}
